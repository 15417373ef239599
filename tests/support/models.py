"""Tiny models of several families with random weights, made in milliseconds."""

from collections.abc import Callable
from typing import Any

WORDS = 50


def bert() -> Any:
    from transformers import BertConfig, BertForSequenceClassification

    config = BertConfig(
        vocab_size=WORDS, hidden_size=16, num_hidden_layers=2, num_attention_heads=4, intermediate_size=24
    )
    return BertForSequenceClassification(config)


def distilbert() -> Any:
    from transformers import DistilBertConfig, DistilBertForSequenceClassification

    config = DistilBertConfig(vocab_size=WORDS, dim=16, n_layers=2, n_heads=4, hidden_dim=24)
    return DistilBertForSequenceClassification(config)


def roberta() -> Any:
    from transformers import RobertaConfig, RobertaForSequenceClassification

    config = RobertaConfig(
        vocab_size=WORDS, hidden_size=16, num_hidden_layers=2, num_attention_heads=4, intermediate_size=24,
        max_position_embeddings=22, pad_token_id=1, bos_token_id=0, eos_token_id=2,
    )  # fmt: skip
    return RobertaForSequenceClassification(config)


def electra() -> Any:
    from transformers import ElectraConfig, ElectraForSequenceClassification

    config = ElectraConfig(
        vocab_size=WORDS, embedding_size=16, hidden_size=16, num_hidden_layers=2, num_attention_heads=4,
        intermediate_size=24,
    )  # fmt: skip
    return ElectraForSequenceClassification(config)


def albert() -> Any:
    from transformers import AlbertConfig, AlbertForSequenceClassification

    config = AlbertConfig(
        vocab_size=WORDS, embedding_size=8, hidden_size=16, num_hidden_layers=2, num_attention_heads=4,
        intermediate_size=24,
    )  # fmt: skip
    return AlbertForSequenceClassification(config)


def modernbert() -> Any:
    from transformers import ModernBertConfig, ModernBertForSequenceClassification

    config = ModernBertConfig(
        vocab_size=WORDS, hidden_size=16, num_hidden_layers=3, num_attention_heads=4, intermediate_size=24,
        pad_token_id=0, bos_token_id=1, eos_token_id=2, cls_token_id=1, sep_token_id=2, local_attention=4,
        classifier_pooling="mean", reference_compile=False,
    )  # fmt: skip
    return ModernBertForSequenceClassification(config)


def vit() -> Any:
    from transformers import ViTConfig, ViTForImageClassification

    config = ViTConfig(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=4, intermediate_size=24, image_size=8, patch_size=4
    )
    return ViTForImageClassification(config)


def marian() -> Any:
    from transformers import MarianConfig, MarianMTModel

    config = MarianConfig(
        vocab_size=WORDS, d_model=16, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4,
        decoder_attention_heads=4, encoder_ffn_dim=24, decoder_ffn_dim=24, pad_token_id=0, eos_token_id=2,
        decoder_start_token_id=0, forced_eos_token_id=2, max_position_embeddings=32,
    )  # fmt: skip
    return MarianMTModel(config)


def t5() -> Any:
    from transformers import T5Config, T5ForConditionalGeneration

    config = T5Config(
        vocab_size=WORDS, d_model=16, d_kv=4, d_ff=24, num_layers=2, num_heads=4, pad_token_id=0, eos_token_id=2,
        decoder_start_token_id=0,
    )  # fmt: skip
    return T5ForConditionalGeneration(config)


def mbart() -> Any:
    from transformers import MBartConfig, MBartForConditionalGeneration

    config = MBartConfig(
        vocab_size=WORDS, d_model=16, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4,
        decoder_attention_heads=4, encoder_ffn_dim=24, decoder_ffn_dim=24, pad_token_id=0, bos_token_id=1,
        eos_token_id=2, decoder_start_token_id=2, forced_eos_token_id=2, max_position_embeddings=32,
    )  # fmt: skip
    return MBartForConditionalGeneration(config)


def m2m100() -> Any:
    """NLLB is of this family too."""
    from transformers import M2M100Config, M2M100ForConditionalGeneration

    config = M2M100Config(
        vocab_size=WORDS, d_model=16, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4,
        decoder_attention_heads=4, encoder_ffn_dim=24, decoder_ffn_dim=24, pad_token_id=0, bos_token_id=1,
        eos_token_id=2, decoder_start_token_id=2, max_position_embeddings=32,
    )  # fmt: skip
    return M2M100ForConditionalGeneration(config)


def llama() -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=WORDS, hidden_size=16, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        intermediate_size=24, pad_token_id=0, bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    return LlamaForCausalLM(config)


FAMILIES: dict[str, Callable[[], Any]] = {
    "bert": bert, "distilbert": distilbert, "roberta": roberta, "modernbert": modernbert, "vit": vit,
    "marian": marian, "t5": t5, "mbart": mbart, "m2m100": m2m100, "llama": llama,
}  # fmt: skip


def make(family: str) -> tuple[Any, dict[str, Any]]:
    """Return a model of the family in evaluation mode, and a batch of two examples of different lengths."""
    import torch

    torch.manual_seed(0)
    model = FAMILIES[family]().eval()
    for parameter in model.parameters():  # the families' own initial weights are too small for a meaningful comparison
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.5)
    if family == "vit":
        return model, {"pixel_values": torch.randn(2, 3, 8, 8)}
    batch = {
        "input_ids": torch.tensor([[1, 5, 6, 7, 8, 2], [1, 9, 10, 2, 0, 0]]),
        "attention_mask": torch.tensor([[1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 0, 0]]),
    }
    if model.config.is_encoder_decoder:
        batch["decoder_input_ids"] = torch.tensor([[0, 11, 12], [0, 13, 14]])
    return model, batch


def tokenizer(words: str = "the cat sat on a mat and sle ##eps") -> Any:
    """Return a fast tokenizer that knows these words, in BERT's manner."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    names = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", *words.split()]
    made = Tokenizer(models.WordPiece({name: number for number, name in enumerate(names)}, unk_token="[UNK]"))
    made.normalizer = normalizers.Lowercase()
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    special = {"pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]", "unk_token": "[UNK]"}
    return PreTrainedTokenizerFast(tokenizer_object=made, **special)
