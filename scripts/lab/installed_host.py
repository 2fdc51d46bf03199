"""Shipstone on a real host, set up by the commands of docs/install.md; the git server is the host's own sshd."""

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from lab.images import ABRUPT
from lab.real_host import GIT, ROOT, RealHost, build_wheel, wheels

DOMAIN = "shipstone.local"
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
sed -i 's|^# branch = .*|poll = "1s"|' config.toml
"""


def site(version: str) -> str:
    """A site's file; it answers `version`."""
    return SITE.format(version=version)


def set_up(host: RealHost, steps: Sequence[str]) -> None:
    """`steps`: the commands of docs/install.md for the program, the host, the repository and the start. The package index is a folder
    here, and the git server is this host: nothing else of them is changed."""
    with tempfile.TemporaryDirectory() as folder:
        build_wheel(Path(folder))
        shutil.copy2(ROOT / "requirements.lock", folder)
        host.put_folder(wheels(), "/srv/index")
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
