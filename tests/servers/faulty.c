/* What goes wrong with programs, on demand; beside abrupt.c in one image.
   faulty exit CODE      says why on stderr, and exits
   faulty oom            takes memory until it is killed
   faulty absent PATH    a healthcheck: fails once PATH is there
   faulty listens PORT   a healthcheck: fails until something listens there
   faulty flaps SECONDS  a healthcheck: passes for that long, fails for that long, and so on
   faulty deaf CMD…      runs CMD and, like a shell that is PID 1, never hears SIGTERM
   faulty lasts MS CMD…  runs CMD for that long, then says why and exits with 7
   faulty says TEXT CMD… says TEXT on stdout, and becomes CMD
   cc -O2 -static -o faulty faulty.c */
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
int main(int n, char **args) {
    const char *mode = n > 1 ? args[1] : "";
    if (!strcmp(mode, "exit") && n == 3) {
        fprintf(stderr, "reading the settings\ncannot open the database\n");
        return atoi(args[2]);
    }
    if (!strcmp(mode, "oom"))
        for (;;) memset(malloc(1 << 20), 1, 1 << 20);
    if (!strcmp(mode, "absent") && n == 3) return access(args[2], F_OK) == 0;
    if (!strcmp(mode, "listens") && n == 3) {
        struct sockaddr_in there = {.sin_family = AF_INET, .sin_port = htons(atoi(args[2])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        return connect(socket(AF_INET, SOCK_STREAM, 0), (struct sockaddr *)&there, sizeof there) != 0;
    }
    if (!strcmp(mode, "flaps") && n == 3) return time(NULL) / atoi(args[2]) % 2;
    if (!strcmp(mode, "deaf") && n > 2) {
        if (!fork()) { execv(args[2], args + 2); _exit(127); }
        wait(NULL);
        return 0;
    }
    if (!strcmp(mode, "lasts") && n > 3) {
        pid_t child = fork();
        if (!child) { execv(args[3], args + 3); _exit(127); }
        usleep(atoi(args[2]) * 1000);
        fprintf(stderr, "out of luck\n");
        kill(child, SIGKILL);
        return 7;
    }
    if (!strcmp(mode, "says") && n > 3) {
        puts(args[2]);
        fflush(stdout);
        execv(args[3], args + 3);
    }
    return 64;
}
