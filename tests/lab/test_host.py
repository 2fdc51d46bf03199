"""What a test leaves behind on the engine: nothing."""

import docker
import pytest
from lab.host import remove_network


def test_a_network_goes_though_somebody_is_in_it(docker_socket: str, instance: str, abrupt_image: str) -> None:
    api = docker.APIClient(docker_socket, version="auto")
    name = f"{instance}_net"
    network = api.create_network(name, labels={"shipstone.network": instance})["Id"]
    somebody = api.create_container(abrupt_image, host_config=api.create_host_config(network_mode=network))["Id"]
    try:
        api.start(somebody)
        with pytest.raises(docker.errors.APIError, match="active endpoints"):
            api.remove_network(network)
        remove_network(api, "another", name)
        assert api.networks(names=[name])
        remove_network(api, instance, name)
        assert not api.networks(names=[name])
    finally:
        api.remove_container(somebody, force=True)
        api.close()
