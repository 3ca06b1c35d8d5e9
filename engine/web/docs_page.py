"""The OpenAPI document as a page to read: plain HTML with one small script that searches, nothing fetched.

The page is whole without the script; every operation has an anchor, its `operationId`.
"""

import json
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

__all__ = ["docs_page"]

_STYLE = """\
:root{color-scheme:light dark;--line:#8884;--soft:#8881;--accent:#0a6cb5}
@media(prefers-color-scheme:dark){:root{--accent:#6cb8f0}}
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:0 auto;padding:0 1rem 4rem}
header{position:sticky;top:0;background:Canvas;padding:.5rem 0;border-bottom:1px solid var(--line)}
h1{font-size:1.25rem;margin:.25rem 0}h2{margin:2rem 0 .5rem}h3{font-size:1rem;margin:1rem 0 .25rem}
input{font:inherit;width:100%;box-sizing:border-box;padding:.4rem .6rem}
details{border:1px solid var(--line);border-radius:.3rem;margin:.3rem 0;padding:.3rem .6rem;scroll-margin-top:6rem}
details[open]{background:var(--soft)}summary{cursor:pointer}summary span{margin-left:.75rem}
code,pre{font:.875rem/1.45 ui-monospace,monospace}pre{overflow:auto;background:var(--soft);padding:.6rem}
table{border-collapse:collapse;width:100%}td,th{text-align:left;vertical-align:top;padding:.2rem .6rem .2rem 0}
th{font-weight:600}a{color:var(--accent)}.method{font-weight:700;display:inline-block;min-width:4rem}
"""

_SCRIPT = """\
const box=document.getElementById("search"),count=document.getElementById("count");
function show(){
  const words=box.value.toLowerCase().split(/\\s+/).filter(Boolean);let shown=0;
  for(const part of document.querySelectorAll("section")){
    let any=false;
    for(const one of part.querySelectorAll("details")){
      const hit=words.every(word=>one.textContent.toLowerCase().includes(word));
      one.hidden=!hit;any=any||hit;shown+=hit&&part.dataset.kind==="operations";
    }
    part.hidden=!any;
  }
  count.textContent=words.length?`${shown} operations`:"";
}
function follow(){
  const one=location.hash&&document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if(!one)return;
  if(one.hidden){box.value="";show();}
  one.open=true;one.scrollIntoView();
}
box.addEventListener("input",show);addEventListener("hashchange",follow);follow();
"""

METHODS = ("get", "post", "put", "patch", "delete")


def docs_page(document: Mapping[str, Any]) -> str:
    """The page of an OpenAPI document."""
    return "".join(_parts(document))


def _parts(document: Mapping[str, Any]) -> Iterator[str]:
    info = document["info"]
    title = f"{escape(info['title'])} {escape(info['version'])}"
    yield f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
    yield '<meta name="viewport" content="width=device-width,initial-scale=1">'
    yield f"<style>{_STYLE}</style><header><h1>{title}</h1>"
    yield '<input id="search" type="search" placeholder="Search paths, parameters, fields" autofocus>'
    yield f'<small id="count"></small></header><p>{_prose(info["description"])}</p>'
    yield '<p>For programs: <a href="/openapi.json">openapi.json</a>, <a href="/asyncapi.json">asyncapi.json</a>.</p>'
    for name, scheme in document["components"]["securitySchemes"].items():
        yield f"<p><code>{escape(name)}</code>: {_prose(scheme['description'])}</p>"
    yield "<h2>Errors</h2><table>"
    for status, response in document["components"]["responses"].items():
        yield f'<tr id="error-{status}"><th>{status}<td>{escape(response["description"])}</tr>'
    yield "</table>"
    for tag in document["tags"]:
        yield f'<section data-kind="operations"><h2>{escape(tag["name"])}</h2>'
        for path, operations in document["paths"].items():
            for method in METHODS:
                if tag["name"] in operations.get(method, {}).get("tags", ()):
                    yield from _operation(path, method, operations[method])
        yield "</section>"
    yield '<section data-kind="schemas"><h2>Schemas</h2>'
    for name, schema in document["components"]["schemas"].items():
        yield f'<details id="{escape(name)}"><summary><code>{escape(name)}</code></summary>'
        yield f"{_schema(schema)}</details>"
    yield f"</section><script>{_SCRIPT}</script></html>"


def _operation(path: str, method: str, operation: Mapping[str, Any]) -> Iterator[str]:
    yield f'<details id="{escape(operation["operationId"])}"><summary>'
    yield f'<code><span class="method">{method.upper()}</span>{escape(path)}</code>'
    yield f"<span>{escape(operation['summary'])}</span></summary>"
    if not operation["security"]:
        yield "<p>Without a token.</p>"
    if operation["parameters"]:
        yield "<h3>Parameters</h3><table>"
        for parameter in operation["parameters"]:
            yield _parameter(parameter)
        yield "</table>"
    if "requestBody" in operation:
        content = operation["requestBody"]["content"]
        optional = "" if operation["requestBody"]["required"] else " (may be left out)"
        for media, described in content.items():
            yield f"<h3>Body{optional}: {escape(media)}</h3>{_schema(described['schema'])}"
    yield "<h3>Answers</h3><p>"
    for status, response in operation["responses"].items():
        if "$ref" not in response:
            content = response.get("content", {}).items()
            schemas = [
                _type(said["schema"]) if "schema" in said else escape(media) for media, said in content
            ]
            yield f"{status} {escape(response['description'])} {', '.join(schemas)}"
    errors = [status for status, response in operation["responses"].items() if "$ref" in response]
    links = (f'<a href="#error-{status}">{status}</a>' for status in errors)
    yield f"</p><p>Errors: {' '.join(links)}</p></details>"


def _parameter(parameter: Mapping[str, Any]) -> str:
    schema = parameter["schema"]
    limits = ", ".join(_limits(schema))
    required = "required" if parameter.get("required") else ""
    described = escape(parameter.get("description", ""))
    name = f"<code>{escape(parameter['name'])}</code> <small>{parameter['in']}</small>"
    return f"<tr><th>{name}<td>{_type(schema)}<td>{limits}<td>{required} {described}</tr>"


_LIMITS = {
    "minimum": "from",
    "exclusiveMinimum": "above",
    "maximum": "to",
    "exclusiveMaximum": "below",
    "minLength": "characters from",
    "maxLength": "characters to",
    "minItems": "items from",
    "maxItems": "items to",
    "default": "default",
}


def _limits(schema: Mapping[str, Any]) -> Iterator[str]:
    if "enum" in schema and "type" in schema:
        yield " | ".join(f"<code>{escape(str(value))}</code>" for value in schema["enum"])
    for key, word in _LIMITS.items():
        if key in schema:
            yield f"{word} {escape(json.dumps(schema[key]))}"


def _type(schema: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#{name}">{name}</a>'
    if "anyOf" in schema:
        return " | ".join(_type(option) for option in schema["anyOf"])
    if "enum" in schema and "type" not in schema:
        return f"one of {', '.join(escape(str(value)) for value in schema['enum'])}"
    kind = schema.get("type", "any")
    if kind == "array":
        return f"array of {_type(schema.get('items') or {})}"
    extra = schema.get("additionalProperties")
    if kind == "object" and isinstance(extra, dict) and extra:
        return f"object of {_type(extra)}"
    return escape(" ".join(filter(None, (str(schema.get("format", "")), str(kind)))))


def _schema(schema: Mapping[str, Any]) -> str:
    if "properties" not in schema:
        return f"<p>{_type(schema)} {', '.join(_limits(schema))}</p>"
    required = schema.get("required", ())
    rows = [f"<p>{escape(schema.get('description', ''))}</p><table>"]
    for name, field in schema["properties"].items():
        mark = "required" if name in required else ""
        described = escape(field.get("description", ""))
        rows.append(
            f"<tr><th><code>{escape(name)}</code><td>{_type(field)}<td>{', '.join(_limits(field))}"
            f"<td>{mark} {described}</tr>"
        )
    return "".join([*rows, "</table>"])


def _prose(text: str) -> str:
    """Escaped, with `code` and [links](…) of Markdown as they are meant."""
    parts = escape(text).split("`")
    return "".join(f"<code>{part}</code>" if odd % 2 else part for odd, part in enumerate(parts))
