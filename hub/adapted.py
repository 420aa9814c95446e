"""A model with an adapter in it; imports peft, which is an optional extra."""

from __future__ import annotations

from typing import Any

from peft import PeftModel

from .card import save_card


class AdaptedModel(PeftModel):
    """A `PeftModel` that is saved and pushed with a card of its own, in place of peft's and transformers' templates."""

    @property
    def adapter_of(self) -> str:
        """Name of the model that the adapter was trained on; empty where it has no name."""
        return self.peft_config[self.active_adapter].base_model_name_or_path or ""

    def save_pretrained(self, save_directory: str, *args: Any, **kwargs: Any) -> None:
        """As `PeftModel.save_pretrained`: the adapter, with the heads and the marker embeddings."""
        super().save_pretrained(save_directory, *args, **kwargs)
        if kwargs.get("is_main_process", True):
            save_card(self.get_base_model().config, save_directory, adapter_of=self.adapter_of)

    def _upload_modified_files(self, working_dir: Any, repo_id: str, *args: Any, **kwargs: Any) -> Any:
        """transformers uploads a folder by this. It has put a template there, which our card replaces."""
        save_card(self.get_base_model().config, working_dir, repo_id, adapter_of=self.adapter_of)
        return super()._upload_modified_files(working_dir, repo_id, *args, **kwargs)
