"""What every map in a file has in common."""

from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator


class Model(BaseModel):
    """Unknown keys are refused, `x-*` is left alone; scalars arrive as text and take their type here."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True, json_schema_extra={"patternProperties": {"^x-": True}})

    @model_validator(mode="before")
    @classmethod
    def without_extensions(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        return {key: value for key, value in data.items() if not (isinstance(key, str) and key.startswith("x-"))}
