"""Starting a model from a pretrained encoder: which encoders work, how one is named, and its marker tokens."""
