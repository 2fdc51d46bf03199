"""Traefik's middlewares: which kinds there are, what each takes, and how a site may write them.

The names are Traefik's (3.7). All of them are listed, because one that Traefik does not know makes it drop the whole container.
"""

import typing
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationInfo, create_model, model_validator

from reconciler.desired.keys import rules, written
from reconciler.desired.middleware_options import (
    BASIC,
    DIGEST,
    FLAG,
    HELD,
    LIST,
    MAP,
    NEEDS_NOTHING,
    NUMBER,
    TEXT,
    TIME,
    TREE,
    TRIES,
    Options,
    options,
)
from reconciler.desired.model import Model
from reconciler.desired.refusal import Refusal

GUARDED = ("chain", "errors", "forwardAuth", "passTLSClientCert", "plugin")
"""Kinds that reach beyond the site's own requests: other services, other hosts, certificates, code. Only where the policy allows them."""

_IP = options("ipStrategy", depth=NUMBER, excludedIPs=LIST, ipv6Subnet=NUMBER)
_SOURCE = options("sourceCriterion", ipStrategy=_IP, requestHeaderName=TEXT, requestHost=FLAG)
_CLIENT_TLS = options("clientTLS", ca=TEXT, cert=TEXT, key=TEXT, insecureSkipVerify=FLAG)
_NAMES = dict.fromkeys(("country", "province", "locality", "organization", "commonName", "serialNumber", "domainComponent"), FLAG)
_SUBJECT = options("subject", **_NAMES, organizationalUnit=FLAG)
_ISSUER = options("issuer", **_NAMES)
_CERTIFICATE = options("info", notAfter=FLAG, notBefore=FLAG, sans=FLAG, serialNumber=FLAG, subject=_SUBJECT, issuer=_ISSUER)
_SIZES = {"maxRequestBodyBytes": NUMBER, "memRequestBodyBytes": HELD, "maxResponseBodyBytes": NUMBER, "memResponseBodyBytes": HELD}
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
    options("addPrefix", "prefix", prefix=TEXT),
    options("basicAuth", "users", users=BASIC, realm=TEXT, removeHeader=FLAG, headerField=TEXT),
    options("buffering", **_SIZES, retryExpression=TEXT),
    options("chain", "middlewares", middlewares=LIST),
    options(
        "circuitBreaker", "expression", expression=TEXT, checkPeriod=TIME, fallbackDuration=TIME, recoveryDuration=TIME, responseCode=NUMBER
    ),
    options(
        "compress", excludedContentTypes=LIST, includedContentTypes=LIST, minResponseBodyBytes=HELD, encodings=LIST, defaultEncoding=TEXT
    ),
    options("contentType"),
    options("digestAuth", "users", users=DIGEST, realm=TEXT, removeHeader=FLAG, headerField=TEXT),
    options("encodedCharacters", **{f"allowEncoded{name}": FLAG for name in _ENCODED}),
    options("errors", "status service", status=LIST, service=TEXT, query=TEXT, statusRewrites=MAP),
    options("forwardAuth", "address", **_FORWARD),
    options("grpcWeb", "allowOrigins", allowOrigins=LIST),
    options("headers", **_HEADERS),
    options("inFlightReq", "amount", amount=NUMBER, sourceCriterion=_SOURCE),
    options("ipAllowList", "sourceRange", sourceRange=LIST, ipStrategy=_IP, rejectStatusCode=NUMBER),
    options("passTLSClientCert", pem=FLAG, info=_CERTIFICATE),
    options("rateLimit", "average", average=NUMBER, period=TIME, burst=NUMBER, sourceCriterion=_SOURCE),
    options("redirectRegex", "regex replacement", regex=TEXT, replacement=TEXT, permanent=FLAG),
    options("redirectScheme", "scheme", scheme=TEXT, port=TEXT, permanent=FLAG),
    options("replacePath", "path", path=TEXT),
    options("replacePathRegex", "regex replacement", regex=TEXT, replacement=TEXT),
    options(
        "retry",
        "attempts",
        attempts=TRIES,
        initialInterval=TIME,
        timeout=TIME,
        maxRequestBodyBytes=HELD,
        status=LIST,
        disableRetryOnNetworkError=FLAG,
        retryNonIdempotentMethod=FLAG,
    ),
    options("stripPrefix", "prefixes", prefixes=LIST),
    options("stripPrefixRegex", "regex", regex=LIST),
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
