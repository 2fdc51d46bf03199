"""Keys that people know from Compose and that mean something else here, or nothing: why, and what to write instead."""

from collections.abc import Mapping
from types import MappingProxyType

_RIGHTS = "would give the container rights on this host, and no policy allows it. Delete it"
_LATER = "is not in this version"

REFUSED: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "network_mode": (
            "SS-C01",
            "would take the container off the network that Traefik routes, and no policy allows it. Delete it; what is no HTTP has ports:.",
        ),
        "device_cgroup_rules": ("SS-C01", f"{_RIGHTS}."),
        "device_requests": ("SS-C01", f"{_RIGHTS}."),
        "gpus": ("SS-C01", f"{_RIGHTS}."),
        "cgroup": ("SS-C01", f"{_RIGHTS}."),
        "cgroup_parent": ("SS-C01", f"{_RIGHTS}."),
        "security_opt": ("SS-C01", f"{_RIGHTS}; what hardens is cap_drop, read_only and user."),
        "sysctls": ("SS-C01", f"{_RIGHTS}; limits go into ulimits."),
        "runtime": ("SS-C01", f"{_RIGHTS}."),
        "group_add": ("SS-C01", f"{_RIGHTS}; write user: USER:GROUP."),
        "volumes_from": ("SS-C01", "would open another container's volumes. Name the volume itself in volumes:."),
        "expose": ("SS-C02", "is not needed: requests come through Traefik. Delete it, and write port:."),
        "build": ("SS-C02", "is not done here: images are built elsewhere. Push the image to a registry and write image:."),
        "depends_on": (
            "SS-C02",
            "orders nothing here: all services start together. Delete it, and let the program wait for what it needs.",
        ),
        "container_name": ("SS-C02", "cannot be chosen: names carry the release, so that two can run side by side. Delete it."),
        "hostname": ("SS-C02", "cannot be chosen: replicas would share it. Delete it; host names of the site go into hosts:."),
        "networks": ("SS-C02", "cannot be chosen: every container is on the network that Traefik routes. Delete it."),
        "deploy": (
            "SS-C02",
            "is written flat here: replicas:, mem_limit:, cpus: and rollout: at the top. Move what you need, and delete it.",
        ),
        "scale": ("SS-C02", "is called replicas here. Write replicas:."),
        "links": ("SS-C02", "is not needed: containers on the network find each other by name. Delete it."),
        "external_links": ("SS-C02", "is not needed: containers on the network find each other by name. Delete it."),
        "version": ("SS-C02", "is not needed: this is no Compose file. Delete it."),
        "name": ("SS-C02", "is not needed: the file's name is the site's name. Delete it."),
        "include": (
            "SS-C02",
            "is not done: a site is one file. Write it all here; what all sites share goes into defaults: of shipstone.yaml.",
        ),
        "extends": ("SS-C02", "is not done: use an anchor and <<: inside the file, or defaults: of shipstone.yaml."),
        "configs": ("SS-C02", "is called files here: PATH-IN-CONTAINER: PATH-IN-REPOSITORY. Write files:."),
        "pull_policy": ("SS-C02", "is not needed: an image is pulled once for each release. Delete it."),
        "host": ("SS-C02", "is a list here, called hosts. Write hosts: [NAME]."),
        "domains": ("SS-C02", "is called hosts here. Write hosts: [NAME]."),
        "env": ("SS-C02", "is called environment here. Write environment:."),
        "memory": ("SS-C02", "is called mem_limit here. Write mem_limit:."),
        "profiles": ("SS-C03", f"{_LATER}. Delete it; a service that is not wanted is left out."),
        "env_file": ("SS-C03", f"{_LATER}. Write environment: instead, and secrets: for what is secret."),
        "logging": ("SS-C03", f"{_LATER}. Delete it; the engine's own logging settings hold."),
        "on": ("SS-C03", f"{_LATER}: every site runs on this host. Delete it."),
        "dns": ("SS-C03", f"{_LATER}. Use extra_hosts:."),
        "dns_search": ("SS-C03", f"{_LATER}. Write full names."),
        "dns_opt": ("SS-C03", f"{_LATER}. Delete it."),
        "domainname": ("SS-C03", f"{_LATER}. Delete it."),
        "shm_size": ("SS-C03", f"{_LATER}. Use tmpfs: /dev/shm:size=64m."),
        "stdin_open": ("SS-C03", f"{_LATER}. Delete it."),
        "tty": ("SS-C03", f"{_LATER}. Delete it."),
        "platform": ("SS-C03", f"{_LATER}. Delete it; the host's own platform is used."),
        "mem_reservation": ("SS-C03", f"{_LATER}. Use mem_limit:."),
        "memswap_limit": ("SS-C03", f"{_LATER}. Use mem_limit:."),
        "oom_score_adj": ("SS-C03", f"{_LATER}. Use mem_limit:."),
        "oom_kill_disable": ("SS-C03", f"{_LATER}. Use mem_limit:."),
        "cpu_shares": ("SS-C03", f"{_LATER}. Use cpus:."),
        "cpu_quota": ("SS-C03", f"{_LATER}. Use cpus:."),
        "cpuset": ("SS-C03", f"{_LATER}. Use cpus:."),
        "annotations": ("SS-C03", f"{_LATER}. Use labels:."),
        "develop": ("SS-C03", f"{_LATER}. Delete it."),
        "post_start": ("SS-C03", f"{_LATER}. Do it in the command or the image."),
        "pre_stop": ("SS-C03", f"{_LATER}. Do it in the command or the image."),
    }
)
