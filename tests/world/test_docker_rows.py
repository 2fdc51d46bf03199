"""Rows of the engine's API, as it gives them."""

from reconciler.world.docker_rows import foreign_of


def test_a_container_of_compose_is_called_by_its_service_and_project() -> None:
    """So Traefik's default rule calls it; of others only what Traefik reads is kept."""
    row = {"Id": "1" * 64, "Names": ["/shop_web_1"], "Labels": {"traefik.enable": "true", "team": "a"}}
    assert foreign_of(row).called == ""
    row["Labels"] = {"com.docker.compose.service": "web", "com.docker.compose.project": "shop", "traefik.enable": "true"}
    found = foreign_of(row)
    assert (found.name, found.called, found.labels) == ("shop_web_1", "web_shop", (("traefik.enable", "true"),))
