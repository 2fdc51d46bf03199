"""The list of faults: what is injected, what each must leave behind, and the tests that see to it.

A row is what happens → the promises that must hold, and its faults. A fault is (what is done, the promises that its test checks, file,
test, case); case is a parameter's id or one of its values, "" where the test has no parameters, or all of them are meant.
"""

PROMISES = {
    "I1": "no site loses its last healthy container that is routed, and no request fails that the fault itself does not cut off",
    "I2": "no volume is removed",
    "I3": "containers of other sites stay the same",
    "I4": "generated files are whole at every moment",
    "I5": "containers of others are not touched",
    "I6": "no secret is in any output",
    "I7": "soon after the fault is over all is as it should be, and no pin is left",
    "I8": "one process acts",
    "I9": "status never claims a revision that is not applied",
}
CRASH, WORLD, ENGINE, CALLS, DISK, GIT_SERVER, TRAEFIK, FAILED, SLOW, REGISTRY, ANSWERS, MANY, HOOKS = (
    f"faults/test_{name}.py"
    for name in (
        "crash", "world", "engine", "engine_calls", "disk", "git_server", "traefik", "failed_release", "slow_releases", "registry",
        "registry_answers", "many_sites", "webhooks",
    )
)  # fmt: skip
DAEMON, HISTORIES, NOTICED = "scenarios/test_daemon.py", "scenarios/test_histories.py", "scenarios/test_drift_noticed.py"
GIT, WEB, HOST, FOUND = "world/test_git.py", "web/test_hooks.py", "host/test_real_host.py", "commands/test_findings.py"
KILLED = "test_killed_at_each_step_it_goes_on_at_the_next_start"
PARKED = "test_ended_in_mid_rollout_it_goes_on_at_the_next_start"
STORE = "test_without_the_store_only_history_is_forgotten"
JUMP = "test_the_clock_jumps_while_the_old_release_drains"
HAND = "test_what_a_hand_does_to_a_replica_is_named_and_healed"
CALL = "test_calls_that_fail_in_a_rollout_are_made_again"
NOT_UP = "test_a_release_that_does_not_come_up_is_taken_away"
HELD = "test_an_emptied_or_renamed_folder_of_sites_is_held_until_approved"
MIRROR = "test_a_corrupt_mirror_is_made_anew"
DIES = "test_a_release_that_dies_once_it_serves_costs_what_came_until_the_old_one_was_reached"
MOMENTS = (
    "fetch", "pull", "pin", "pinned", "create", "start", "ready", "switch", "switched", "drain", "stop", "remove", "unpin", "unpinned",
    "record",
)  # fmt: skip
STOPPED = "test_stopped_by_a_signal_in_mid_rollout"

Fault = tuple[str, str, str, str, str]
ROWS: dict[str, tuple[str, tuple[Fault, ...]]] = {
    "SIGKILL at each step": (
        "I1 I2 I7",
        tuple((moment, "I1 I2 I7 I9", CRASH, KILLED, moment) for moment in MOMENTS),
    ),
    "many SIGKILLs while commits flow": (
        "I1 I2 I9",
        (("at random moments", "I1 I2 I7 I9", CRASH, "test_killed_at_random_moments_while_commits_flow_it_ends_at_the_newest", ""),),
    ),
    "SIGTERM in mid-rollout": (
        "I1",
        tuple((f"once {moment}", "I1 I7", DAEMON, PARKED, moment) for moment in ("pinned", "started", "switched", "stopping")),
    ),
    "SIGSTOP": (
        "I1",
        (
            ("systemd's watchdog starts another one", "I1", HOST, "test_a_daemon_that_hangs_is_killed_and_started_again", ""),
            ("it is killed in mid-rollout, as the watchdog does it", "I1 I2 I7", CRASH, STOPPED, "is killed"),
            ("it goes on in mid-rollout", "I1 I2 I7", CRASH, STOPPED, "goes on"),
        ),
    ),
    "a second one of the same instance": (
        "I8",
        (
            ("run and apply beside a daemon", "I8", DAEMON, "test_a_second_one_is_refused_and_told_who_the_first_is", ""),
            ("the lock's holder is named", "I8", "world/test_lock.py", "test_the_second_is_told_who_holds_it", ""),
        ),
    ),
    "the store": (
        "I1 I2",
        (
            ("deleted", "I1 I2 I7", WORLD, STORE, "deleted"),
            ("truncated", "I1 I2 I7", WORLD, STORE, "truncated"),
            ("overwritten", "I1 I2 I7", WORLD, STORE, "garbage"),
            ("the whole state folder is removed", "I1 I2 I7", WORLD, "test_without_its_state_folder_it_goes_on", ""),
        ),
    ),
    "the clock jumps during a wait": (
        "I1",
        (("a day ahead", "I1 I7", "faults/test_clock.py", JUMP, "86400"), ("a day back", "I1 I7", "faults/test_clock.py", JUMP, "-86400")),
    ),
    "the git server": (
        "I1 I9",
        (
            ("is gone", "I7", DAEMON, "test_a_git_server_that_is_gone_stops_nothing_but_news", ""),
            ("accepts and never answers", "I1 I7 I9", GIT_SERVER, "test_a_git_server_that_accepts_and_never_answers", ""),
            ("sends a kilobyte a second", "I7", GIT_SERVER, "test_a_git_server_that_sends_a_kilobyte_a_second", ""),
            ("its silence is a metric", "I9", "followers/test_metrics.py", "test_how_old_the_newest_fetch_and_pass_are_is_said", ""),
        ),
    ),
    "the branch": (
        "I1 I3",
        (
            ("a force-push of an unrelated history", "I1 I3 I9", HISTORIES, "test_an_unrelated_history_is_held_until_approved", ""),
            ("is deleted", "I1 I3 I7", HISTORIES, "test_without_the_branch_everything_stays", "branch_deleted"),
            ("the repository is emptied", "I1 I3 I7", HISTORIES, "test_without_the_branch_everything_stays", "emptied"),
        ),
    ),
    "a commit that removes many": (
        "I1 I2",
        (
            ("all sites; the folder renamed", "I1 I2 I7", HISTORIES, HELD, ""),
            ("three of four", "I3", "commands/test_intents.py", "test_many_removals_wait_for_an_approval", ""),
        ),
    ),
    "one bad file of many": (
        "I3 I9",
        (
            ("of fifty that change", "I1 I3 I9", MANY, "test_fifty_sites_change_in_one_commit_and_one_is_wrong", ""),
            ("of three", "I3 I9", "scenarios/test_main_job.py", "test_one_broken_file_of_three_holds_only_its_own_site", ""),
            ("of each kind", "I1 I2 I3 I4", "scenarios/test_bad_inputs.py", "test_bad_files_of_all_kinds_change_nothing", ""),
        ),
    ),
    "ten pushes in mid-rollout": ("I9", (("the newest wins", "I1 I7 I9", DAEMON, "test_of_many_pushes_the_newest_wins", ""),)),
    "the mirror": (
        "I1 I7",
        (
            ("corrupt and locked, the daemon runs", "I1 I7", GIT_SERVER, MIRROR, "runs"),
            ("corrupt and locked, the daemon starts", "I1 I7", GIT_SERVER, MIRROR, "is started"),
            ("every kind of damage", "I7", GIT, "test_a_damaged_mirror_is_made_anew", "damage_objects"),
            ("stale locks", "I7", GIT, "test_locks_and_parts_of_a_killed_fetch_are_removed", ""),
            ("killed in mid-fetch", "I1 I7", CRASH, KILLED, "fetch"),
        ),
    ),
    "the engine ends": (
        "I1 I5",
        (
            ("restarted, containers live on", "I1 I7", ENGINE, "test_an_engine_that_lets_containers_live_is_restarted", ""),
            ("restarted, containers go down", "I7", ENGINE, "test_an_engine_that_takes_containers_down_is_restarted", ""),
            ("killed in mid-rollout", "I1 I5 I7", ENGINE, "test_an_engine_killed_in_mid_rollout", ""),
        ),
    ),
    "the engine's socket": (
        "I1",
        (
            ("is gone", "I1 I7", CALLS, "test_the_socket_is_denied_or_gone", "gone"),
            ("is denied", "I1 I7", CALLS, "test_the_socket_is_denied_or_gone", "denied"),
        ),
    ),
    "the engine's answers": (
        "I1",
        (
            ("all come late", "I1 I2 I7", CALLS, "test_an_engine_whose_every_call_is_slow", ""),
            ("all come too late", "I1 I2 I7", CALLS, "test_an_engine_that_is_slower_than_a_call_may_be", ""),
            ("500 to every list", "I1 I2 I7", CALLS, "test_an_engine_that_answers_every_list_with_500", ""),
            ("500 and 409 to calls of each kind", "I1 I2 I7", CALLS, CALL, "500, then 409"),
            ("500 to what was done", "I1 I2 I7", CALLS, CALL, "done, and not said"),
            ("some come too late", "I1 I2 I7", CALLS, CALL, "too late"),
        ),
    ),
    "a disk": (
        "I1 I4",
        (
            ("the engine's is full in a pull", "I1", DISK, "test_the_disk_of_the_engine_gets_full_in_a_pull", ""),
            ("the state folder's is full", "I1 I4 I7", DISK, "test_the_disk_of_the_state_folder_is_full", ""),
            ("the state folder's is read-only", "I1 I7", DISK, "test_the_disk_of_the_state_folder_is_read_only", ""),
        ),
    ),
    "the registry": (
        "I3 I9",
        (
            ("hangs, then is down", "I1 I3 I7", REGISTRY, "test_sites_whose_registry_hangs_hold_no_other", ""),
            ("answers 429", "I1 I3 I7 I9", ANSWERS, "test_a_registry_that_answers_429_is_asked_again_later", ""),
            ("is slow", "I1 I3 I7", ANSWERS, "test_a_registry_that_is_slow_holds_up_nobody_else", ""),
            ("its tag moves", "I1 I7", ANSWERS, "test_a_tag_that_moves_in_mid_rollout_moves_no_release", ""),
        ),
    ),
    "a hand on a container": (
        "I2",
        tuple((hand, "I2 I7", WORLD, HAND, hand) for hand in ("rm -f", "stop", "kill", "pause", "disconnect", "update", "rename")),
    ),
    "a foreign container": (
        "I5",
        (
            ("takes our name", "I5", WORLD, "test_a_foreign_container_with_our_name_is_named_and_left_alone", ""),
            ("claims a host name", "I5", FOUND, "test_a_stranger_on_our_host_name_is_told_and_left_alone", ""),
            ("claims a router", "I5", NOTICED, "test_a_foreign_container_with_names_of_a_site_is_told", ""),
        ),
    ),
    "the network": (
        "I7",
        (
            ("is removed", "I2 I7", WORLD, "test_a_network_that_was_removed_is_made_anew", ""),
            ("is connected again", "I7", NOTICED, "test_a_network_that_was_connected_again_is_no_more_known_to_traefik", ""),
        ),
    ),
    "the engine's events": (
        "I7",
        (
            ("break off", "I2 I7", CALLS, "test_events_that_break_off_are_made_up_for_by_a_look_at_everything", ""),
            ("never come", "I7", NOTICED, "test_what_no_event_told_is_found_by_the_next_full_inspection", ""),
        ),
    ),
    "a release that fails": (
        "I1",
        (
            ("exits at once", "I1", FAILED, NOT_UP, "exits at once"),
            ("exits before it is ready", "I1", FAILED, NOT_UP, "exits before it is ready"),
            ("exits once it serves", "I1", FAILED, DIES, ""),
            ("crash-loops", "I1", FAILED, NOT_UP, "crash-loops"),
            ("is never healthy", "I1", FAILED, NOT_UP, "stays unhealthy"),
            ("is never ready", "I1", FAILED, NOT_UP, "is never ready"),
            ("flaps", "I1", FAILED, "test_a_release_that_flaps_is_undone", ""),
            ("turns sick", "I1", FAILED, "test_a_release_that_turns_sick_once_it_serves_is_undone", ""),
            ("is OOM-killed", "I1", FAILED, NOT_UP, "is OOM-killed"),
            ("why is said everywhere", "I9", FAILED, "test_why_it_failed_is_in_what_every_command_says", ""),
        ),
    ),
    "a slow start": (
        "I1",
        (
            ("declared, and not", "I1 I7", SLOW, "test_a_start_that_is_slow_is_allowed_where_it_is_declared", ""),
            ("others go on", "I7", DAEMON, "test_a_slow_site_never_delays_another", ""),
        ),
    ),
    "an application that ignores SIGTERM": (
        "I1",
        (("with slow requests in flight", "I1 I7", SLOW, "test_who_hears_no_sigterm_ends_its_requests_and_is_killed", ""),),
    ),
    "fifty sites change at once": (
        "I1",
        (("in one commit", "I1 I7", MANY, "test_fifty_sites_change_in_one_commit_and_one_is_wrong", ""),),
    ),
    "Traefik": (
        "I1",
        (
            ("is restarted in mid-rollout", "I1 I7", TRAEFIK, "test_traefik_is_restarted_in_mid_rollout", ""),
            ("its API is gone", "I1 I7", TRAEFIK, "test_traefiks_api_is_gone_in_mid_rollout", ""),
            ("does not reach the new release", "I1 I7", TRAEFIK, "test_traefik_does_not_reach_the_new_release", ""),
            ("a neighbour's broken file", "I1 I7", TRAEFIK, "test_a_neighbours_broken_file_freezes_the_pins", ""),
        ),
    ),
    "a hand in the hosts file": (
        "I4",
        (
            ("inside the block", "I4 I7", NOTICED, "test_generated_files_are_told_line_by_line_and_written_again", ""),
            ("outside of it", "I4", HOST, "test_a_hand_in_the_hosts_file_is_put_right_and_the_rest_is_kept", ""),
            ("broken markers", "I4", "world/test_generated.py", "test_markers_that_are_broken_are_told_and_left", ""),
        ),
    ),
    "a flood of webhooks": (
        "I7",
        (
            ("unsigned, and oversized", "I1 I7", HOOKS, "test_a_flood_costs_no_memory_no_request_and_no_pass", ""),
            ("10 MB", "I7", WEB, "test_a_large_request_gets_its_answer_while_it_is_still_being_sent", ""),
            ("slow heads", "I7", WEB, "test_a_head_without_end_is_cut_off", ""),
            ("slow bodies", "I7", WEB, "test_many_slow_bodies_keep_nobody_out", ""),
            ("the same again", "I7", WEB, "test_the_same_delivery_again_has_no_second_effect", ""),
        ),
    ),
    "any of it, with secrets planted": (
        "I6",
        (("in every place", "I6", "scenarios/test_planted_secrets.py", "test_no_secret_is_ever_said_or_written_down", ""),),
    ),
}
