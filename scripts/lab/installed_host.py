"""Shipstone on a real host, as docs/install.md has it: the program from wheels, its own `install`, a deploy key, a first site."""

import tempfile
from pathlib import Path

from lab.images import NGINX, TRAEFIK
from lab.real_host import GIT, PROGRAM, RealHost, build_wheel, wheels

DOMAIN = "shipstone.local"
SITE = """image: nginx:1.27-alpine
port: 80
files: {/usr/share/nginx/html: pages}
rollout: {min_healthy: 500ms, drain: 500ms}
"""
SSHD = "PasswordAuthentication no\nUsePAM no\n"
GIT_SERVER = f"""
rm -f /etc/ssh/ssh_host_rsa_key* /etc/ssh/ssh_host_ecdsa_key*
useradd --create-home --shell /bin/sh --password '*' git
git config --system safe.directory '*'
git init --quiet --bare --initial-branch=main {GIT}
git init --quiet --initial-branch=main /srv/work
chown -R git: {GIT}
systemctl restart ssh
"""
DEPLOY_KEY = f"""
ssh-keygen -q -t ed25519 -N "" -C shipstone -f /etc/shipstone/credentials/ssh-key
chown shipstone: /etc/shipstone/credentials/ssh-key
ssh-keyscan localhost 2>/dev/null > /etc/shipstone/known_hosts
mkdir -p /home/git/.ssh
echo "restrict,command=\\"git-upload-pack {GIT}\\" $(cat /etc/shipstone/credentials/ssh-key.pub)" > /home/git/.ssh/authorized_keys
chown -R git: /home/git/.ssh && chmod 700 /home/git/.ssh
"""
SETTINGS = f"""
cd /etc/shipstone
sed -i 's|^# url = .*|url = "ssh://git@localhost{GIT}"|; s|^# ssh_key|ssh_key|; s|^# known_hosts|known_hosts|' config.toml
sed -i 's|^# branch = .*|poll = "1s"|' config.toml
"""


def put_program(host: RealHost) -> None:
    """A virtual environment at /opt/shipstone, from wheels alone: no index is asked."""
    with tempfile.TemporaryDirectory() as folder:
        build_wheel(Path(folder))
        host.put_folder(wheels(), "/srv/wheels")
        host.put_folder(Path(folder), "/srv/wheels")
    pip = f"{Path(PROGRAM).parent}/pip --quiet --disable-pip-version-check"
    host.run(f"python3 -m venv /opt/shipstone && {pip} install --no-compile --no-index --find-links /srv/wheels shipstone")


def put_images(host: RealHost) -> None:
    for image in (NGINX, TRAEFIK):
        host.load_image(image)


def set_up(host: RealHost) -> str:
    """From the program to a host that only needs `systemctl start shipstone`; the first commit."""
    host.run(f"{PROGRAM} install")
    host.put({"etc/ssh/sshd_config.d/lab.conf": SSHD})
    host.run(GIT_SERVER)
    host.run(DEPLOY_KEY)
    host.run(SETTINGS)
    return host.commit({"shipstone.yaml": f"domain: {DOMAIN}\n", "sites/hello.yaml": SITE, "pages/index.html": "one\n"}, "a first site")
