"""Tokenizers and tiny models with chat templates of the kinds that Llama 3 and Qwen use."""

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

LLAMA_3 = """\
{{- bos_token }}
{%- if not date_string is defined %}
    {%- if strftime_now is defined %}
        {%- set date_string = strftime_now("%d %b %Y") %}
    {%- else %}
        {%- set date_string = "26 Jul 2024" %}
    {%- endif %}
{%- endif %}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}
{{- "<|start_header_id|>system<|end_header_id|>\\n\\n" }}
{{- "Cutting Knowledge Date: December 2023\\n" }}
{{- "Today Date: " + date_string + "\\n\\n" }}
{{- system_message }}
{{- "<|eot_id|>" }}
{%- for message in messages %}
    {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' }}
    {{- message['content'] | trim + '<|eot_id|>' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif %}
"""
QWEN = """\
{%- if messages[0]['role'] == 'system' %}
    {{- '<|im_start|>system\\n' + messages[0]['content'] + '<|im_end|>\\n' }}
{%- else %}
    {{- '<|im_start|>system\\nYou are a helpful assistant.<|im_end|>\\n' }}
{%- endif %}
{%- for message in messages %}
    {{- '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\\n\\n</think>\\n\\n' }}
    {%- endif %}
{%- endif %}
"""
_LLAMA_SPECIAL = (
    "<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>",
    "<|start_header_id|>", "<|end_header_id|>",
)  # fmt: skip
_QWEN_SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
_LINES = [
    "def f(a, b):\n    return a + b\n",
    "1|def f(a, b):\n2|    return a - b\n***\nf(1, 2) returned -1, expected 3\n### ",
    "REPL 2 >>>    return a + b\nDELL 1\nADDL 3 >>>x\nREPW 1 >>>a >>>b\nEXIT\n```python\n```\n",
]


def llama_3_tokenizer() -> PreTrainedTokenizerFast:
    """As Llama-3.2-Instruct: its own BOS, a message ends in <|eot_id|>, which is also EOS."""
    return _tokenizer(
        _LLAMA_SPECIAL, LLAMA_3, bos_token="<|begin_of_text|>", eos_token="<|eot_id|>"
    )


def qwen_tokenizer() -> PreTrainedTokenizerFast:
    """As Qwen-Instruct: no BOS, a message ends in <|im_end|>, which is also EOS."""
    return _tokenizer(_QWEN_SPECIAL, QWEN, eos_token="<|im_end|>", pad_token="<|endoftext|>")


def plain_tokenizer() -> PreTrainedTokenizerFast:
    """As a base model: BOS and EOS, no template."""
    return _tokenizer(("<s>", "</s>"), None, bos_token="<s>", eos_token="</s>")


def _tokenizer(special, template, **names) -> PreTrainedTokenizerFast:
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=384,
        special_tokens=list(special),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    inner.train_from_iterator(_LINES * 5, trainer)
    extra = [token for token in special if token not in names.values()]
    made = PreTrainedTokenizerFast(tokenizer_object=inner, additional_special_tokens=extra, **names)
    if template is not None:
        made.chat_template = template
    return made


def make_instruct_model(folder):
    """A random Llama of 0.1 M parameters with Llama 3's kind of tokenizer."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = llama_3_tokenizer()
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=4096,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        dtype="float32",
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder
