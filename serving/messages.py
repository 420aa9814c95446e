"""The bodies of requests and answers. The OpenAPI page is made from them."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)


def _threshold(value: Any, validate: ValidatorFunctionWrapHandler) -> Any:
    try:
        return validate(value)
    except ValidationError:
        raise ValueError("a threshold is from 0 to 1, or one for each label") from None


def _given(value: Any) -> Any:
    """An entity as a mapping, where it is a row."""
    if isinstance(value, list | tuple) and len(value) in (2, 3):
        return dict(zip(("start", "end", "label"), value, strict=False))
    return value


Threshold = Annotated[float | dict[str, float], WrapValidator(_threshold)]


class GivenEntity(BaseModel):
    """An entity that the client has already; [start, end, label] means the same. More keys are not read."""

    start: int = Field(strict=True, description="first character, or first word where `words` are given")
    end: int = Field(strict=True, description="behind the last character, or the last word where `words` are given")
    label: str | None = Field(None, description="its type; the model finds the most probable one where it is missing")


class DocumentBody(BaseModel):
    """One document: a text, or sentences of words."""

    model_config = ConfigDict(extra="forbid")

    text: str | None = Field(None, description="raw text", examples=["Ines Tavarro founded the Brellin Observatory."])
    words: list[list[str]] | None = Field(
        None, description="in place of text: sentences, cut into words", examples=[None]
    )
    entities: list[Annotated[GivenEntity, BeforeValidator(_given)]] | None = Field(
        None, description="the entities; no others are looked for", examples=[None]
    )
    language: str | None = Field(
        None, pattern="^[a-z]{2,3}$", description="ISO 639-1 code of the text (en)", examples=["en"]
    )

    @model_validator(mode="after")
    def _is_one_thing(self) -> DocumentBody:
        _check_document(self)
        return self


def _check_document(body: DocumentBody) -> None:
    if (body.text is None) == (body.words is None):
        raise ValueError("expected either 'text' or 'words'")
    if body.words is not None and body.language is not None:
        raise ValueError("'language' is for 'text': words are cut already")


class ExtractBody(DocumentBody):
    """What `POST /extract` takes: one document, or `documents`; and options for all of them."""

    documents: list[DocumentBody] | None = Field(None, description="in place of one document: several", examples=[None])
    entity_threshold: Threshold | None = Field(
        None, description="least score of an entity, for all labels or by label (the model's own)", examples=[None]
    )
    relation_threshold: Threshold | None = Field(
        None, description="least score of a relation, for all labels or by label (the model's own)", examples=[None]
    )
    pruner_threshold: float | None = Field(
        None, description="in place of the model's own, for a model with a pruner", examples=[None]
    )
    constraints: bool = Field(
        True, strict=True, description="keep the constraints of the model's schema, if it has any"
    )
    explain: bool = Field(
        False, strict=True, description="give each relation the words that it was read from; takes longer"
    )

    @model_validator(mode="after")
    def _is_one_thing(self) -> ExtractBody:
        values = (self.text, self.words, self.entities, self.language)
        if self.documents is None:
            if self.text is None and self.words is None:
                raise ValueError("expected 'text', 'words' or 'documents'")
            _check_document(self)
        elif any(value is not None for value in values):
            raise ValueError("beside 'documents', the keys of one document are not read: write them into the documents")
        return self


class EntityAnswer(BaseModel):
    """See `plmarker.Entity`."""

    text: str
    label: str
    start: int = Field(description="first character")
    end: int = Field(description="behind the last character")
    score: float
    sentence: int


class RelationAnswer(BaseModel):
    """See `plmarker.Relation`."""

    head: int = Field(description="index into `entities`")
    tail: int = Field(description="index into `entities`")
    label: str
    score: float
    explanation: dict[str, Any] | None = Field(
        None, description="where `explain` is true: `words`, see `plmarker.Explanation`"
    )


class ExtractionAnswer(BaseModel):
    """What `Extraction.to_dict` returns."""

    text: str = Field(description="the text that the offsets count in; words are joined by spaces")
    entities: list[EntityAnswer]
    relations: list[RelationAnswer]


class ExtractionsAnswer(BaseModel):
    """The answer to `documents`, in their order."""

    documents: list[ExtractionAnswer]


class HealthAnswer(BaseModel):
    """What `GET /health` returns."""

    status: str = Field(description="ok, or stopping")
    version: str
    finds_entities: bool = Field(description="false for a relation model alone, which needs given entities")
    entity_labels: list[str]
    relation_labels: list[str]


class ErrorAnswer(BaseModel):
    """What went wrong, in one sentence."""

    detail: str
