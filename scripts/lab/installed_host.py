"""Shipstone on a real host, set up by the commands of docs/install.md; the git server is the host's own sshd."""

import hashlib
import hmac
import json
import shlex
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from lab.images import ABRUPT
from lab.real_host import GIT, PYTHONS, ROOT, RealHost, build_wheel, wheels

DOMAIN = "shipstone.local"
HOOK_SECRET = "lab-webhook-secret"  # noqa: S105  of a host that is gone after the test
SITE = f"""image: {ABRUPT}
port: 80
environment: {{{{V: "{{version}}", BOOT_MS: "200", WORK_MS: "5"}}}}
stop_grace_period: 2s
rollout: {{{{min_healthy: 500ms, drain: 500ms}}}}
"""
GIT_SERVER = f"""
rm -f /etc/ssh/ssh_host_rsa_key* /etc/ssh/ssh_host_ecdsa_key*
printf 'PasswordAuthentication no\\nUsePAM no\\n' > /etc/ssh/sshd_config.d/lab.conf
useradd --create-home --shell /bin/sh --password '*' git
git config --system safe.directory '*'
git init --quiet --bare --initial-branch=main {GIT}
git init --quiet --initial-branch=main /srv/work
chown -R git: {GIT}
systemctl restart ssh
"""
DEPLOY_KEY = f"""
mkdir -p /home/git/.ssh
echo "restrict,command=\\"git-upload-pack {GIT}\\" $(cat /etc/shipstone/credentials/ssh-key.pub)" > /home/git/.ssh/authorized_keys
chown -R git: /home/git/.ssh && chmod 700 /home/git/.ssh
"""
"""For this key the server does one thing: it gives out that repository."""
SETTINGS = f"""
cd /etc/shipstone
sed -i 's|^# url = .*|url = "ssh://git@localhost{GIT}"|; s|^# ssh_key|ssh_key|; s|^# known_hosts|known_hosts|' config.toml
sed -i 's|^# branch = .*|poll = "1h"|' config.toml
printf '\\n[webhooks]\\nsecret_file = "/etc/shipstone/credentials/webhook-secret"\\n' >> config.toml
echo {HOOK_SECRET} > credentials/webhook-secret
chown shipstone: credentials/webhook-secret && chmod 400 credentials/webhook-secret
"""
"""Nothing is fetched in time by polling: what a test waits for comes by a webhook or a reload."""


def site(version: str) -> str:
    """A site's file; it answers `version`."""
    return SITE.format(version=version)


def hook(host: RealHost, secret: str = HOOK_SECRET) -> str:
    """The status of a push event, signed as GitHub does it, that this host sends to its daemon."""
    body = json.dumps({"ref": "refs/heads/main", "repository": {"ssh_url": f"ssh://git@localhost{GIT}"}})
    signature = hmac.new(secret.encode(), body.encode(), hashlib.sha256).hexdigest()
    headers = {"Content-Type": "application/json", "X-GitHub-Event": "push", "X-Hub-Signature-256": f"sha256={signature}"}
    given = " ".join(f"--header {shlex.quote(f'{name}: {value}')}" for name, value in headers.items())
    where = "http://127.0.0.1:8484/hooks/github"
    return host.run(f"curl --silent --output /dev/null --write-out '%{{http_code}}' {given} --data-raw {shlex.quote(body)} {where}")


def set_up(host: RealHost, steps: Sequence[str]) -> None:
    """`steps`: the commands of docs/install.md for the program, the host, the repository and the start. The package index is a folder
    here, and the git server is this host: nothing else of them is changed."""
    with tempfile.TemporaryDirectory() as folder:
        build_wheel(Path(folder))
        shutil.copy2(ROOT / "requirements.lock", folder)
        host.put_folder(wheels(PYTHONS[host.suite]), "/srv/index")
        host.put_folder(Path(folder), "/root")
    program, install, repository, start = steps
    host.run(GIT_SERVER)
    host.run(f"set -e; cd /root; export PIP_NO_INDEX=1 PIP_FIND_LINKS=/srv/index PIP_NO_COMPILE=1\n{program}")
    host.run("set -e\n" + install)
    host.run("set -e\n" + repository.replace("git.example.com", "localhost"))
    host.run(DEPLOY_KEY)
    host.run(SETTINGS)
    host.commit({"shipstone.yaml": f"domain: {DOMAIN}\n", "sites/hello.yaml": site("one")}, "a first site")
    host.run("set -e\n" + start)
