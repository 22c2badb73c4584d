"""Tokenizers and tiny models with chat templates of the kinds that Llama 3 and Qwen use."""

from tiny_llama import LINES, byte_level_tokenizer, save_tiny_llama
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
    made = byte_level_tokenizer(special, lines=(*LINES, "```python\n```\n"), **names)
    if template is not None:
        made.chat_template = template
    return made


def make_instruct_model(folder):
    """A random Llama of 0.1 M parameters with Llama 3's kind of tokenizer."""
    return save_tiny_llama(folder, llama_3_tokenizer())
