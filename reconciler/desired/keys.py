"""What each key of a file takes, as types: a reader that raises Refusal, and what the JSON Schema says of it."""

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, ValidationInfo, WithJsonSchema

from reconciler.desired import container_rules, mounts, names, rights, scalars, secrets
from reconciler.desired.policy import Rules, check_host
from reconciler.desired.refusal import Refusal

SCALAR = {"type": ["string", "number", "boolean"]}
LINE = {"type": "string", "minLength": 1}
LINES = {"type": "array", "items": SCALAR}
DURATION_SCHEMA = {
    "type": ["string", "integer"],
    "minimum": 0,
    "maximum": 0,
    "pattern": r"^(0|([0-9]+(\.[0-9]+)?(us|ms|s|m|h))+)$",
    "examples": ["500ms", "10s", "1m30s"],
}
HOUR = 3600.0
MAX_SERVICES = 100
MAX_MIDDLEWARES = 20
MAX_ENTRIES = 100
MAX_WORDS = 1000
"""Of a command, and variables: each container's labels hold them all."""


def rules(info: ValidationInfo) -> Rules:
    """What the caller passed as context; without it everything that a policy could allow is refused."""
    return info.context if isinstance(info.context, Rules) else Rules()


def written(value: Any) -> Any:
    """Refuse a key with nothing after it: it could mean the default or the empty value."""
    if value is None:
        raise Refusal("SS-Y16", "nothing is written here. Write a value, or delete the key.")
    return value


def after_written(read: Callable[[Any], Any]) -> BeforeValidator:
    return BeforeValidator(lambda value: read(written(value)))


def bounded(low: int, high: int) -> tuple[BeforeValidator, WithJsonSchema]:
    return BeforeValidator(scalars.whole(low, high)), WithJsonSchema({"type": "integer", "minimum": low, "maximum": high})


def seconds(low: float, high: float = HOUR) -> BeforeValidator:
    return BeforeValidator(scalars.duration(low, high))


def chosen(*choices: str) -> tuple[BeforeValidator, WithJsonSchema]:
    return BeforeValidator(scalars.one_of(*choices)), WithJsonSchema({"type": "string", "enum": list(choices)})


def _image(value: object, info: ValidationInfo) -> str:
    return container_rules.check_image(container_rules.image(value), rules(info))


def _volume(value: object, info: ValidationInfo) -> str:
    return mounts.volume(value, rules(info))


def _added_capability(value: object, info: ValidationInfo) -> str:
    return container_rules.added_capability(value, rules(info))


def _host(value: object, info: ValidationInfo) -> str:
    name = names.host_name(value)
    check_host(name, rules(info))
    return name


def _label_name(value: object, info: ValidationInfo) -> str:
    return container_rules.label_name(value, rules(info).policy)


def _privileged(value: object, info: ValidationInfo) -> bool:
    return rights.privileged(written(value), rules(info))


def namespace(key: str, name: str) -> tuple[BeforeValidator, WithJsonSchema]:
    def read(value: object, info: ValidationInfo) -> str:
        return rights.namespace(key, name, value, rules(info))

    return BeforeValidator(read), WithJsonSchema({"type": "string", "enum": ["host"]})


def _needed(key: str) -> BeforeValidator:
    return BeforeValidator(lambda value, info: written(rights.needs(key, value, rules(info))))


def _device(value: object, info: ValidationInfo) -> str:
    return rights.device(value, rules(info))


def _published_port(value: object, info: ValidationInfo) -> str:
    return rights.published_port(value, rules(info))


def both_limits(value: Any) -> Any:
    """One number is the soft and the hard limit."""
    return value if isinstance(value, dict) or not isinstance(value, str | int) else {"soft": value, "hard": value}


def services(value: Any) -> Any:
    if value == {}:
        raise Refusal("SS-Y16", "there is no service in it. Name one, as in web: {image: nginx:1.27}, or delete services:.")
    if isinstance(value, dict) and len(value) > MAX_SERVICES:
        raise Refusal("SS-C13", f"{len(value)} services are too many for one site. Write at most {MAX_SERVICES}; make several sites of it.")
    return written(value)


def switch(value: Any) -> Any:
    """`true` is a map without keys, `false` is none."""
    value = written(value)
    if isinstance(value, dict):
        return value
    return {} if scalars.boolean(value) else None


def tls(value: Any, info: ValidationInfo) -> Any:
    value = switch(value)
    if value is not None and not rules(info).policy.tls:
        raise Refusal(
            "SS-C29", "this host has no entry point for TLS. Delete it, or ask the host's administrator for [traefik] https_port."
        )
    return value


def middlewares(value: Any) -> Any:
    if isinstance(value, list) and len(value) > MAX_MIDDLEWARES:
        raise Refusal("SS-C13", f"{len(value)} middlewares are too many for one site. Write at most {MAX_MIDDLEWARES}.")
    return written(value)


DURATION = WithJsonSchema(DURATION_SCHEMA)
COUNTED = BeforeValidator(scalars.at_most(MAX_ENTRIES))
WORDS = BeforeValidator(scalars.at_most(MAX_WORDS))
Flag = Annotated[bool, BeforeValidator(scalars.boolean)]
Init = Annotated[bool | None, BeforeValidator(scalars.boolean), WithJsonSchema({"type": "boolean"})]
Image = Annotated[str | None, BeforeValidator(_image), WithJsonSchema({**LINE, "examples": ["nginx:1.27-alpine"]})]
Word = Annotated[str, BeforeValidator(scalars.text)]
Command = Annotated[list[Word] | None, WORDS, after_written(container_rules.words), WithJsonSchema({"anyOf": [LINE, LINES]})]
Environment = Annotated[
    dict[
        Annotated[str, BeforeValidator(container_rules.environment_name)],
        Annotated[str, BeforeValidator(container_rules.environment_value)],
    ],
    after_written(container_rules.pairs("=")),
    WithJsonSchema({"anyOf": [{"type": "object", "additionalProperties": SCALAR}, LINES]}),
    WORDS,
]
Labels = Annotated[
    dict[Annotated[str, BeforeValidator(_label_name)], Annotated[str, BeforeValidator(container_rules.label_value)]],
    after_written(container_rules.pairs("=")),
    WithJsonSchema({"anyOf": [{"type": "object", "additionalProperties": {"type": [*SCALAR["type"], "null"]}}, LINES]}),
    COUNTED,
]
ExtraHosts = Annotated[
    list[Annotated[str, BeforeValidator(container_rules.extra_host)]],
    after_written(container_rules.host_lines),
    WithJsonSchema({"anyOf": [{"type": "object", "additionalProperties": LINE}, {"type": "array", "items": LINE}]}),
    COUNTED,
]
User = Annotated[
    str | None,
    BeforeValidator(
        scalars.pattern(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(:[A-Za-z0-9_][A-Za-z0-9_.-]*)?", "SS-C24", "USER or USER:GROUP, as in 1000:1000", 64)
    ),
    WithJsonSchema({"type": ["string", "integer"]}),
]
Folder = Annotated[str | None, BeforeValidator(mounts.folder), WithJsonSchema({"type": "string", "pattern": "^/"})]
Signal = Annotated[
    str | None,
    BeforeValidator(
        scalars.pattern(
            r"(SIG)?[A-Z]{2,6}[0-9]?|(SIG)?RT(MIN|MAX)([+-][0-9]{1,2})?|[1-9]|[1-5][0-9]|6[0-4]", "SS-C24", "a signal, as in SIGQUIT"
        )
    ),
    WithJsonSchema({"type": ["string", "integer"], "examples": ["SIGQUIT"]}),
]
Tmpfs = Annotated[
    list[Annotated[str, BeforeValidator(mounts.tmpfs)]],
    after_written(scalars.listed),
    WithJsonSchema({"anyOf": [LINE, {"type": "array", "items": LINE}]}),
    COUNTED,
]
Volumes = Annotated[
    list[Annotated[str, BeforeValidator(_volume)]],
    BeforeValidator(written),
    WithJsonSchema({"type": "array", "items": {**LINE, "pattern": "^[^:]+:/"}}),
    COUNTED,
]
Files = Annotated[
    dict[Annotated[str, BeforeValidator(mounts.absolute)], Annotated[str, BeforeValidator(mounts.repository_path)]],
    after_written(mounts.one_target_each),
    WithJsonSchema({"type": "object", "additionalProperties": LINE, "propertyNames": {"pattern": "^/"}}),
    COUNTED,
]
Test = Annotated[
    list[Word], WORDS, BeforeValidator(container_rules.check_test), WithJsonSchema({"anyOf": [LINE, {**LINES, "minItems": 1}]})
]
CapAdd = Annotated[list[Annotated[str, BeforeValidator(_added_capability)]], BeforeValidator(written), COUNTED]
Privileged = Annotated[bool, BeforeValidator(_privileged), WithJsonSchema({"type": "boolean"})]
Devices = Annotated[list[Annotated[str, BeforeValidator(_device)]], COUNTED, _needed("devices")]
Ports = Annotated[
    list[Annotated[str, BeforeValidator(_published_port)]],
    COUNTED,
    _needed("ports"),
    WithJsonSchema({"type": "array", "items": {**LINE, "examples": ["5432:5432"]}}),
]
Secrets = Annotated[
    dict[Annotated[str, BeforeValidator(secrets.target)], Annotated[str, BeforeValidator(secrets.source)]],
    BeforeValidator(written),
    WithJsonSchema({"type": "object", "additionalProperties": {**LINE, "pattern": "^(host|age|sops):.+$"}}),
    COUNTED,
]
CapDrop = Annotated[list[Annotated[str, BeforeValidator(container_rules.capability)]], BeforeValidator(written), COUNTED]
UlimitName = Annotated[str, BeforeValidator(container_rules.ulimit_name)]
Memory = Annotated[
    int | None,
    BeforeValidator(scalars.size(6 * 1024**2)),
    WithJsonSchema({"type": ["string", "integer"], "pattern": r"^[0-9]+(\.[0-9]+)?([bB]|[kKmMgGtT][bB]?)?$", "examples": ["64m", "1g"]}),
]
Cpus = Annotated[
    float | None,
    BeforeValidator(scalars.decimal(0.01, 1024)),
    WithJsonSchema({"type": "number", "minimum": 0.01, "maximum": 1024, "examples": [0.5]}),
]
Hosts = Annotated[
    list[Annotated[str, BeforeValidator(_host)]] | None,
    AfterValidator(names.host_names),
    BeforeValidator(written),
    WithJsonSchema(
        {"type": "array", "minItems": 1, "items": {"type": "string", "pattern": r"^[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*$", "maxLength": 253}}
    ),
    COUNTED,
]
PathPrefix = Annotated[str | None, BeforeValidator(names.path_prefix), WithJsonSchema({"type": "string", "pattern": "^/"})]
Resolver = Annotated[
    str | None,
    BeforeValidator(scalars.pattern(r"[A-Za-z0-9_-]+", "SS-C24", "a resolver's name, as in letsencrypt", 64)),
    WithJsonSchema({"type": "string", "pattern": "^[A-Za-z0-9_-]+$"}),
]
ServiceName = Annotated[str, BeforeValidator(names.service_name)]
Domain = Annotated[str, BeforeValidator(names.fleet_domain)]
