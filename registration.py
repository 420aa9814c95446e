"""Registering the models and the pipeline with transformers.

transformers and torch take seconds to load. So `import plmarker` loads neither: the models are registered when the Auto
classes, or the models themselves, are loaded.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

PACKAGE = __package__ or "plmarker"
AUTO_CONFIG = "transformers.models.auto.configuration_auto"
AUTO_CLASSES = "transformers.models.auto.modeling_auto"
PIPELINES = "transformers.pipelines"
TASKS = f"{PACKAGE}.modeling.tasks_plmarker"
EXTRACTION = f"{PACKAGE}.modeling.extraction_plmarker"
EXTRACTING = f"{PACKAGE}.modeling.extracting_plmarker"
CONFIGS = f"{PACKAGE}.modeling.configuration_plmarker"
MODELS = f"{PACKAGE}.modeling.modeling_plmarker"

# Modules whose code has run, although Python may still count them as being loaded.
EXECUTED: set[str] = set()
# What is done already.
DONE: set[str] = set()


class Watcher(MetaPathFinder):
    """Calls `register` after a module of interest was loaded. It changes nothing about how modules are loaded."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec that the other finders have, whose loader calls `register` at its end."""
        if fullname not in (AUTO_CONFIG, AUTO_CLASSES, PIPELINES) and not fullname.startswith(f"{PACKAGE}."):
            return None
        finders = [finder for finder in sys.meta_path if not isinstance(finder, Watcher)]
        specs = (finder.find_spec(fullname, path, target) for finder in finders if hasattr(finder, "find_spec"))
        spec = next((spec for spec in specs if spec is not None), None)
        loader: Any = spec and spec.loader
        if loader is not None:
            execute = loader.exec_module

            def execute_and_register(module: ModuleType) -> None:
                execute(module)
                EXECUTED.add(fullname)
                register()

            loader.exec_module = execute_and_register
        return spec


def install() -> None:
    """Register now what can be registered, and the rest later."""
    sys.meta_path.insert(0, Watcher())
    register()


def register() -> None:
    """Register what can be registered by now. Further calls do what earlier ones could not do."""
    if _is_ready(TASKS):
        _once(_add_compat)
    if _is_ready(EXTRACTION):
        _once(_add_pages)
    if _is_ready(EXTRACTING):
        _once(_add_explanations)
    if _is_ready(MODELS):
        _once(_connect)
    for auto, ours, step in ((AUTO_CONFIG, CONFIGS, _register_configs), (AUTO_CLASSES, MODELS, _register_models)):
        if _is_ready(auto):
            # A module of this package that is being loaded calls this again at its end.
            if not _is_ready(ours) and not _is_loading():
                import_module(ours)
            if _is_ready(ours):
                _once(step)
    if _is_ready(PIPELINES) and _is_ready(MODELS) and not _is_loading():
        _once(_register_pipeline)


def _once(step: Callable[[], None]) -> None:
    if step.__name__ not in DONE:
        DONE.add(step.__name__)
        step()


def _add_compat() -> None:
    """Let `compat="original"` find its tasks."""
    sys.modules[TASKS].COMPAT_TASKS["original"] = _later(".original.quirks", "original_task")


def _add_pages() -> None:
    """Let extractions become pages."""
    sys.modules[EXTRACTION].Extraction.page = _later(".reports.page", "extraction_page")


def _add_explanations() -> None:
    """Let relations be explained."""
    sys.modules[EXTRACTING].ExtractsFromText.explainer = _later(".reports.explanation", "explain_relations")


def _connect() -> None:
    """Give the models what the package has and what a checkpoint does not carry."""
    models = sys.modules[MODELS]
    models.PLMarkerBaseModel.saver = _LaterSaver()
    models.PLMarkerPreTrainedModel.starter = staticmethod(_later(".encoders.starting", "start_model"))
    models.PLMarkerPreTrainedModel.dense = _later(".original.dense", "score_dense")
    models.PLMarkerModel.starter = staticmethod(_later(".encoders.starting", "start_combined"))


class _LaterSaver:
    """The `HubSaver` of `plmarker.hub`, which is loaded when it is first used."""

    def save(self, *args: Any, **kwargs: Any) -> None:
        """See `HubSaver.save`."""
        import_module(".hub.saving", PACKAGE).HubSaver().save(*args, **kwargs)

    def before_upload(self, *args: Any, **kwargs: Any) -> None:
        """See `HubSaver.before_upload`."""
        import_module(".hub.saving", PACKAGE).HubSaver().before_upload(*args, **kwargs)


def _register_configs() -> None:
    auto, configs = sys.modules[AUTO_CONFIG], sys.modules[CONFIGS]
    for config in (configs.PLMarkerEntityConfig, configs.PLMarkerRelationConfig, configs.PLMarkerConfig):
        auto.AutoConfig.register(config.model_type, config)


def _register_models() -> None:
    auto, models = sys.modules[AUTO_CLASSES], sys.modules[MODELS]
    for model in (models.PLMarkerForEntityRecognition, models.PLMarkerForRelationExtraction, models.PLMarkerModel):
        auto.AutoModel.register(model.config_class, model)


def _register_pipeline() -> None:
    registry = sys.modules[PIPELINES].PIPELINE_REGISTRY
    ours = import_module(".pipeline", PACKAGE)
    if ours.TASK not in registry.supported_tasks:
        auto = import_module(AUTO_CLASSES)
        registry.register_pipeline(
            ours.TASK, pipeline_class=ours.EntityRelationExtractionPipeline, pt_model=auto.AutoModel, type="text"
        )


def _later(module: str, name: str) -> Callable[..., Any]:
    """A function of a module that is loaded when the function is first called."""

    def call(*args: Any, **kwargs: Any) -> Any:
        return getattr(import_module(module, PACKAGE), name)(*args, **kwargs)

    return call


def _is_ready(name: str) -> bool:
    return name in EXECUTED or (name in sys.modules and not _is_initializing(name))


def _is_loading() -> bool:
    """Whether code of a module of this package, other than the package itself, is running now."""
    names = [name for name in list(sys.modules) if name.startswith(f"{PACKAGE}.")]
    return any(_is_initializing(name) and name not in EXECUTED for name in names)


def _is_initializing(name: str) -> bool:
    return bool(getattr(getattr(sys.modules.get(name), "__spec__", None), "_initializing", False))
