"""Traefik's middlewares: which kinds there are, what each takes, and how a site may write them.

The names are Traefik's (3.7). All of them are listed, because one that Traefik does not know makes it drop the whole container.
"""

import typing
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationInfo, WithJsonSchema, create_model, model_validator

from reconciler.desired import scalars
from reconciler.desired.keys import rules, written
from reconciler.desired.model import Model
from reconciler.desired.refusal import Refusal, show

GUARDED = ("chain", "errors", "forwardAuth", "passTLSClientCert", "plugin")
"""Kinds that reach beyond the site's own requests: other services, other hosts, certificates, code. Only where the policy allows them."""
NEEDS_NOTHING = ("compress", "contentType")
"""Kinds that do something without any option."""
MAX_TEXT = 2000
FEW = 3


def _line(value: object) -> str:
    """A text that a label can carry and no template engine reads."""
    written = scalars.text(value)
    if not written.isprintable() or "{{" in written or len(written) > MAX_TEXT:
        raise Refusal("SS-C27", f"{show(written)} cannot be handed to Traefik. Write one line without {{{{, at most {MAX_TEXT} characters.")
    return written


def _item(value: object) -> str:
    """One of a list: Traefik splits it at commas."""
    written = _line(value)
    if "," in written or not written.strip() or written != written.strip():
        raise Refusal("SS-C27", f"{show(written)} cannot stand in a list: Traefik splits it at commas. Write each item by itself.")
    return written


def _items(value: Any) -> Any:
    if value == []:
        raise Refusal("SS-C27", "the list is empty. Write what belongs into it, or delete the key.")
    return scalars.listed(value)


def _tree(value: Any) -> Any:
    """Texts in maps, as deep as a plugin wants them."""
    if not isinstance(value, dict):
        return _line(value)
    if not value:
        raise Refusal("SS-C27", "nothing is set here. Write a NAME: VALUE.")
    return {_name(key): _tree(below) for key, below in value.items()}


def _map(value: Any) -> Any:
    if value == {}:
        raise Refusal("SS-C27", "nothing is set here. Write NAME: VALUE.")
    return value


def _duration(value: object) -> str:
    """Seconds as Go writes them."""
    return f"{round(scalars.duration(0, 86400)(value) * 1000)}ms"


_name = scalars.pattern(r"[A-Za-z0-9_-]+", "SS-C27", "a name of letters, digits, - and _", 100)
_TEXT = {"type": "string"}
FLAG = Annotated[bool, BeforeValidator(scalars.boolean)]
NUMBER = Annotated[int, BeforeValidator(scalars.whole(-1, 10**15)), WithJsonSchema({"type": "integer"})]
TIME = Annotated[str, BeforeValidator(_duration), WithJsonSchema({**_TEXT, "examples": ["500ms", "10s"]})]
TEXT = Annotated[str, BeforeValidator(_line), WithJsonSchema({"type": ["string", "number"]})]
LIST = Annotated[
    list[Annotated[str, BeforeValidator(_item)]],
    BeforeValidator(_items),
    WithJsonSchema({"anyOf": [_TEXT, {"type": "array", "items": {"type": ["string", "number"]}, "minItems": 1}]}),
]
MAP = Annotated[
    dict[Annotated[str, BeforeValidator(_name)], Annotated[str, BeforeValidator(_line)]],
    BeforeValidator(_map),
    WithJsonSchema({"type": "object", "additionalProperties": {"type": ["string", "number"]}}),
]
TREE = Annotated[dict[str, Any], BeforeValidator(_tree), WithJsonSchema({"type": "object"})]


class Options(Model):
    """What one kind takes; nothing set is a mistake."""

    @model_validator(mode="after")
    def something_set(self) -> "Options":
        if not self.model_fields_set and type(self).__name__ not in NEEDS_NOTHING:
            few = list(type(self).model_fields)[:FEW]
            raise Refusal("SS-C27", f"nothing is set here. Write an option, as {' or '.join(few)}.")
        return self


def _options(name: str, needed: str = "", /, **options: Any) -> type[Options]:
    """A model of these options; those named in `needed` must be there."""
    fields: dict[str, Any] = {}
    for option, takes in options.items():
        default = ... if option in needed.split() else None
        kind = Annotated[takes | None, BeforeValidator(written)]  # type: ignore[valid-type]
        fields[option] = kind, Field(default=default, description=f"Traefik's {name}.{option}.")
    return create_model(name, __base__=Options, **fields)


_IP = _options("ipStrategy", depth=NUMBER, excludedIPs=LIST, ipv6Subnet=NUMBER)
_SOURCE = _options("sourceCriterion", ipStrategy=_IP, requestHeaderName=TEXT, requestHost=FLAG)
_CLIENT_TLS = _options("clientTLS", ca=TEXT, cert=TEXT, key=TEXT, insecureSkipVerify=FLAG)
_NAMES = dict.fromkeys(("country", "province", "locality", "organization", "commonName", "serialNumber", "domainComponent"), FLAG)
_SUBJECT = _options("subject", **_NAMES, organizationalUnit=FLAG)
_ISSUER = _options("issuer", **_NAMES)
_CERTIFICATE = _options("info", notAfter=FLAG, notBefore=FLAG, sans=FLAG, serialNumber=FLAG, subject=_SUBJECT, issuer=_ISSUER)
_SIZES = dict.fromkeys(("maxRequestBodyBytes", "memRequestBodyBytes", "maxResponseBodyBytes", "memResponseBodyBytes"), NUMBER)
_LISTS = "accessControlAllowHeaders accessControlAllowMethods accessControlAllowOriginList accessControlAllowOriginListRegex"
_FLAGS = "accessControlAllowCredentials addVaryHeader stsIncludeSubdomains stsPreload forceSTSHeader frameDeny contentTypeNosniff"
_TEXTS = "customFrameOptionsValue customBrowserXSSValue contentSecurityPolicy contentSecurityPolicyReportOnly publicKey referrerPolicy"
_HEADERS: dict[str, Any] = {
    **dict.fromkeys(("customRequestHeaders", "customResponseHeaders", "sslProxyHeaders"), MAP),
    **dict.fromkeys((*_LISTS.split(), "accessControlExposeHeaders", "allowedHosts", "hostsProxyHeaders"), LIST),
    **dict.fromkeys((*_FLAGS.split(), "browserXssFilter", "isDevelopment"), FLAG),
    **dict.fromkeys((*_TEXTS.split(), "permissionsPolicy"), TEXT),
    **dict.fromkeys(("accessControlMaxAge", "stsSeconds"), NUMBER),
}
_ENCODED = ("Slash", "BackSlash", "NullCharacter", "Semicolon", "Percent", "QuestionMark", "Hash")
_FORWARD_FLAGS = "trustForwardHeader forwardBody preserveLocationHeader preserveRequestMethod"
_FORWARD: dict[str, Any] = {
    **dict.fromkeys(("address", "authResponseHeadersRegex", "headerField"), TEXT),
    **dict.fromkeys(("authResponseHeaders", "authRequestHeaders", "addAuthCookiesToResponse"), LIST),
    **dict.fromkeys(_FORWARD_FLAGS.split(), FLAG),
    "maxBodySize": NUMBER,
    "tls": _CLIENT_TLS,
}
# What reads a file of the host (usersFile) or asks another host (redis) is left out.
KINDS: tuple[type[Options], ...] = (
    _options("addPrefix", "prefix", prefix=TEXT),
    _options("basicAuth", "users", users=LIST, realm=TEXT, removeHeader=FLAG, headerField=TEXT),
    _options("buffering", **_SIZES, retryExpression=TEXT),
    _options("chain", "middlewares", middlewares=LIST),
    _options(
        "circuitBreaker", "expression", expression=TEXT, checkPeriod=TIME, fallbackDuration=TIME, recoveryDuration=TIME, responseCode=NUMBER
    ),
    _options(
        "compress", excludedContentTypes=LIST, includedContentTypes=LIST, minResponseBodyBytes=NUMBER, encodings=LIST, defaultEncoding=TEXT
    ),
    _options("contentType"),
    _options("digestAuth", "users", users=LIST, realm=TEXT, removeHeader=FLAG, headerField=TEXT),
    _options("encodedCharacters", **{f"allowEncoded{name}": FLAG for name in _ENCODED}),
    _options("errors", "status service", status=LIST, service=TEXT, query=TEXT, statusRewrites=MAP),
    _options("forwardAuth", "address", **_FORWARD),
    _options("grpcWeb", "allowOrigins", allowOrigins=LIST),
    _options("headers", **_HEADERS),
    _options("inFlightReq", "amount", amount=NUMBER, sourceCriterion=_SOURCE),
    _options("ipAllowList", "sourceRange", sourceRange=LIST, ipStrategy=_IP, rejectStatusCode=NUMBER),
    _options("passTLSClientCert", pem=FLAG, info=_CERTIFICATE),
    _options("rateLimit", "average", average=NUMBER, period=TIME, burst=NUMBER, sourceCriterion=_SOURCE),
    _options("redirectRegex", "regex replacement", regex=TEXT, replacement=TEXT, permanent=FLAG),
    _options("redirectScheme", "scheme", scheme=TEXT, port=TEXT, permanent=FLAG),
    _options("replacePath", "path", path=TEXT),
    _options("replacePathRegex", "regex replacement", regex=TEXT, replacement=TEXT),
    _options(
        "retry",
        "attempts",
        attempts=NUMBER,
        initialInterval=TIME,
        timeout=TIME,
        maxRequestBodyBytes=NUMBER,
        status=LIST,
        disableRetryOnNetworkError=FLAG,
        retryNonIdempotentMethod=FLAG,
    ),
    _options("stripPrefix", "prefixes", prefixes=LIST),
    _options("stripPrefixRegex", "regex", regex=LIST),
)


def _allowed(kind: str) -> BeforeValidator:
    def read(value: Any, info: ValidationInfo) -> Any:
        if kind in GUARDED and kind not in rules(info).policy.middlewares:
            why = "reaches beyond this site's own requests, and this host's policy does not allow it"
            raise Refusal("SS-C28", f"{kind} {why}. Delete it, or ask the host's administrator for [policy] middlewares.")
        return {} if value == "true" and kind in NEEDS_NOTHING else written(value)

    return BeforeValidator(read)


class OneKind(Model):
    """A map with one key: the kind."""

    @model_validator(mode="after")
    def one_kind(self) -> "OneKind":
        if len(self.model_fields_set) != 1:
            found = ", ".join(sorted(self.model_fields_set)) or "nothing"
            raise Refusal("SS-C27", f"one middleware is one kind, and here is {found}. Begin each with a dash of its own: - KIND: …")
        return self


def _middleware() -> type[OneKind]:
    fields: dict[str, Any] = {
        kind.__name__: (Annotated[kind | None, _allowed(kind.__name__)], Field(default=None, description=f"Traefik's {kind.__name__}."))
        for kind in KINDS
        if kind.__name__ != "plugin"
    }
    plugin = Annotated[TREE | None, _allowed("plugin")]
    fields["plugin"] = (plugin, Field(default=None, description="A plugin of Traefik's static configuration, by its name there."))
    return create_model("Middleware", __base__=OneKind, **fields)


if typing.TYPE_CHECKING:
    Middleware = OneKind
else:
    Middleware = _middleware()


def middleware_at(path: Sequence[str | int]) -> type[Model]:
    """The model of the map at `path` below one middleware."""
    here: type[Model] = Middleware
    for part in path:
        field = here.model_fields.get(str(part))
        inner = [kind for kind in typing.get_args(field.annotation) if isinstance(kind, type) and issubclass(kind, Model)] if field else []
        if not inner:
            break
        here = inner[0]
    return here


def flat(middleware: OneKind) -> tuple[str, tuple[tuple[str, str], ...]]:
    """The kind, and its options as labels have them: dotted name in lower case → text."""
    (kind,) = middleware.model_fields_set
    return kind, tuple(sorted(_rows("", getattr(middleware, kind))))


def _rows(prefix: str, value: Any) -> list[tuple[str, str]]:
    if isinstance(value, Model):
        value = {name.lower(): getattr(value, name) for name in value.model_fields_set}
    if isinstance(value, Mapping):
        return [row for name, below in value.items() for row in _rows(f"{prefix}.{name}" if prefix else name, below)]
    if isinstance(value, bool):
        return [(prefix, "true" if value else "false")]
    return [(prefix, ",".join(value) if isinstance(value, list) else str(value))]
