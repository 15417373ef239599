"""A small sequence-to-sequence Transformer that knows nothing yet.

Architecture: Vaswani et al. 2017, "Attention Is All You Need", as transformers' Marian has it; one vocabulary and one
embedding table for both languages and for the output.
"""

from collections.abc import Iterable
from pathlib import Path

from toolkit.models import quiet

PAD, END = "<pad>", "</s>"


def write_untrained(
    texts: Iterable[str],
    folder: Path,
    *,
    vocabulary: int,
    width: int,
    layers: int,
    positions: int,
    seed: int,
) -> None:
    """Write a checkpoint with random weights, and a tokenizer learnt from the texts.

    The tokenizer joins bytes into pieces (Sennrich et al. 2016, byte pair encoding), so there is no character that it
    cannot read or write.

    Args:
        texts: Of both languages.
        folder: Where to.
        vocabulary: Pieces that the tokenizer knows at most.
        width: Hidden size.
        layers: Of the encoder, and of the decoder.
        positions: Tokens that a text may have.
        seed: Of the weights.
    """
    import torch
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import MarianConfig, MarianMTModel, PreTrainedTokenizerFast

    made = Tokenizer(models.BPE())
    made.normalizer = normalizers.NFC()
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=vocabulary, special_tokens=[PAD, END], initial_alphabet=alphabet, show_progress=False
        ),
    )
    made.post_processor = processors.TemplateProcessing(single=f"$A {END}", special_tokens=[(END, 1)])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=made, pad_token=PAD, eos_token=END)
    heads = max(1, width // 64)
    config = MarianConfig(
        vocab_size=len(tokenizer),
        d_model=width,
        encoder_layers=layers,
        decoder_layers=layers,
        encoder_attention_heads=heads,
        decoder_attention_heads=heads,
        encoder_ffn_dim=4 * width,
        decoder_ffn_dim=4 * width,
        activation_function="relu",
        dropout=0.1,
        scale_embedding=True,
        max_position_embeddings=positions,
        pad_token_id=0,
        eos_token_id=1,
        decoder_start_token_id=0,
        forced_eos_token_id=1,
        bos_token_id=None,
    )
    with torch.random.fork_rng(devices=[]), quiet():
        torch.manual_seed(seed)
        MarianMTModel(config).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
