"""Writes templates.json.gz: chat templates and what jinja2 (3.1.6), set up as transformers does, renders from conversations.
Run from this folder: python templates.py. A case that raises stores null."""
import gzip
import json

from jinja2.sandbox import ImmutableSandboxedEnvironment

MESSAGES = [
    [{"role": "user", "content": "Hi!"}],
    [{"role": "user", "content": "  spaced \n"}],
    [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What's 2+2?"}],
    [{"role": "user", "content": "1+1?"}, {"role": "assistant", "content": "<think>\none and one\n</think>\n\n2"}, {"role": "user", "content": "Why?"}],
    [{"role": "user", "content": "A \"quoted\" text,\n{{ braces }} é 世界"}, {"role": "assistant", "content": "plain"}],
    [{"role": "assistant", "content": "first"}],
    [],
]

TEMPLATES = {
    "headers": "{% for m in messages %}{% set content = '<|h|>' + m['role'] + '<|/h|>\n\n' + m['content'] | trim + '<|eot|>' %}"
               "{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}{{ '<|h|>assistant<|/h|>\n\n' }}",
    "system first": "{%- for m in messages %}\n    {%- if loop.first and m.role != 'system' %}\n        {{- '<s>system\\nYou help.<e>\\n' }}\n    {%- endif %}\n"
                    "    {{- '<s>' + m.role + '\\n' + m.content + '<e>' + '\\n' }}\n{%- endfor %}\n{%- if add_generation_prompt %}\n    {{- '<s>assistant\\n' }}\n{%- endif %}\n",
    "white space": "A\n  {% if true %}\n  B\n  {% endif %}\nC {# a comment #}\n{#- another -#}\nD\n\n{{ 'x' }}\n  {%+ if true %}E{% endif %}\n {% set a = 1 %} {{ a }}\n",
    "thought": """{%- set ns = namespace(last=-1, seen=false) -%}
{%- for m in messages[::-1] -%}
  {%- if not ns.seen and m.role == 'user' -%}{%- set ns.last = messages | length - 1 - loop.index0 -%}{%- set ns.seen = true -%}{%- endif -%}
{%- endfor -%}
{%- for m in messages -%}
  {%- set c = m.content if m.content is string else '' -%}
  {%- if m.role == 'assistant' and '</think>' in c -%}
    {%- set thought = c.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') -%}
    {%- set c = c.split('</think>')[-1].lstrip('\\n') -%}
    {%- if loop.index0 > ns.last -%}{{ '[' + thought + ']' }}{%- endif -%}
  {%- endif -%}
  {{ m.role | upper ~ ': ' ~ c ~ (';' if not loop.last else '.') }}
{%- endfor -%}
{%- if enable_thinking is defined and enable_thinking is false -%}{{ '<think>\\n\\n</think>' }}{%- endif -%}""",
    "refuses": "{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}{% set sys = messages[0]['content'] %}{% else %}{% set loop_messages = messages %}{% set sys = false %}{% endif %}"
               "{% for m in loop_messages %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('roles must alternate') }}{% endif %}"
               "{% if loop.index0 == 0 and sys != false %}{% set content = '<<' + sys + '>>' + m['content'] %}{% else %}{% set content = m['content'] %}{% endif %}"
               "{% if m['role'] == 'user' %}{{ bos_token + '[I] ' + content.strip() + ' [/I]' }}{% elif m['role'] == 'assistant' %}{{ ' ' + content + ' ' + eos_token }}{% endif %}{% endfor %}",
    "expressions": "{{ 1 + 2 * 3 }} {{ 7 // 2 }} {{ -7 // 2 }} {{ 7 % 3 }} {{ -7 % 3 }} {{ 1 / 2 }} {{ 2 > 1 and not 1 >= 2 }} {{ 'b' in 'abc' }} {{ 'x' not in ['a', 'x'] }} {{ none }} {{ missing }}|"
                   "{{ missing | default('d') }} {{ '' | default('e', true) }} {{ [1, 'a', none, true, 1.5] | tojson }} {{ {'k': [1, {'é': '\"<&>'}]} | tojson }} {{ 'a,b,c'.split(',') | join('-') }} "
                   "{{ 'abc'[1] }} {{ 'abcdef'[1:3] }} {{ 'abc'[-1] }} {{ 'abc'[::-1] }} {{ 'abc'[5:] }} {{ range(3) | list | tojson }} {{ 'A' if messages else 'B' }} {{ ('x' if false) }}! {{ 'a' 'b' }} "
                   "{{ 'Ab'.lower() ~ 'Ab'.upper() }} {{ 'abc'.startswith('ab') }} {{ 'abc'.endswith('x') }} {{ ' x '.strip() }}{{ 'xxaxx'.strip('x') }} {{ 'a b  c'.split() | length }} {{ 'aXbXc'.split('X', 1) | last }} "
                   "{{ not not true }} {{ 1 == 1.0 }} {{ 'a' < 'b' }} {{ messages is iterable }} {{ x is not defined }} {{ 3 is number }} {{ none is none }} {{ {'a': 1}.get('b', 2) }} {{ {'a': 1}['a'] }} {{ 'a-b' | replace('-', '+') }} {{ 1.0 }} {{ 100000 * 3 }}",
    "loops": "{% for k, v in {'a': 1, 'b': 2}.items() %}{{ k }}={{ v }}{% if not loop.last %},{% endif %}{% endfor %} {% for m in messages if m.role == 'user' %}{{ loop.index }}/{{ loop.length }}{{ loop.revindex }} {% else %}nobody{% endfor %}"
             "{% set x = 'out' %}{% for i in range(2) %}{% set x = 'in' %}{% for j in [1] %}{{ i }}{{ j }}{% endfor %}{% endfor %}{{ x }} {% for m in messages %}{% if loop.previtem is defined %}{{ loop.previtem.role }}>{% endif %}{{ m.role }} {% endfor %}",
    "undefined": "{{ messages[9].role }}",
}


def main():
    def raise_exception(message):
        raise ValueError(message)

    env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    env.globals["raise_exception"] = raise_exception
    env.filters["tojson"] = lambda x: json.dumps(x, ensure_ascii=False)
    out = []
    for name, source in TEMPLATES.items():
        cases = []
        for messages in MESSAGES:
            for think in (False, True):
                try:
                    text = env.from_string(source).render(messages=messages, add_generation_prompt=True, bos_token="<s>", eos_token="</s>",
                                                          enable_thinking=think, thinking_option="on" if think else "off")
                except Exception:
                    text = None
                cases.append({"messages": messages, "think": think, "text": text})
        out.append({"name": name, "template": source, "cases": cases})
    with gzip.GzipFile("templates.json.gz", "wb", 9, mtime=0) as f:
        f.write(json.dumps(out, ensure_ascii=False).encode())
    print(sum(len(t["cases"]) for t in out), "cases")


if __name__ == "__main__":
    main()
