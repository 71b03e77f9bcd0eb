/**
 * A selector of Calico's policies: an expression over labels.
 *
 * Format (libcalico-go/lib/selector/{parser,tokenizer}): `all()`, `global()`, `has(k)`, `k == 'v'`, `k != "v"`,
 * `k in {'a', 'b'}`, `k not in {…}`, `k contains 'v'`, `k starts with 'v'`, `k ends with 'v'`, joined by `&&`, `||`, `!` and
 * parentheses. `!=` and `not in` hold also where the label is missing. An empty one is `all()`.
 */

type Labels = Readonly<Record<string, string>>;
export type CalicoSelector = (labels: Labels) => boolean;

const TOKEN =
  /\s*(?:(&&|\|\||==|!=|[!(){},])|'([^']*)'|"([^"]*)"|(has|all|global)\s*\(|(not\s+in|in|contains|starts\s+with|ends\s+with)(?=[\s{'"])|([\w./-]+))/y;

type Token = { readonly is: "sign" | "value" | "call" | "operator" | "key"; readonly text: string };

function tokensOf(text: string): readonly Token[] | undefined {
  const tokens: Token[] = [];
  const end = text.trimEnd().length;
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < end) {
    const found = TOKEN.exec(text);
    if (!found) return undefined;
    const [, sign, single, double, call, operator, key] = found;
    if (sign !== undefined) tokens.push({ is: "sign", text: sign });
    else if (call !== undefined) tokens.push({ is: "call", text: call });
    else if (operator !== undefined) tokens.push({ is: "operator", text: operator.replace(/\s+/g, " ") });
    else if (key !== undefined) tokens.push({ is: "key", text: key });
    else tokens.push({ is: "value", text: single ?? double ?? "" });
  }
  return tokens;
}

class Unreadable extends Error {}

const labelIn = (labels: Labels, key: string): string | undefined =>
  Object.hasOwn(labels, key) ? labels[key] : undefined;

/** @returns whether an endpoint's labels meet it; undefined if it cannot be read */
export function parseCalicoSelector(text: string): CalicoSelector | undefined {
  const tokens = tokensOf(text);
  if (!tokens) return undefined;
  if (tokens.length === 0) return () => true;
  let at = 0;
  const next = (is: Token["is"], word?: string): string => {
    const token = tokens[at++];
    if (token?.is !== is || (word !== undefined && token.text !== word)) throw new Unreadable();
    return token.text;
  };
  const isNext = (word: string): boolean => tokens[at]?.is === "sign" && tokens[at]?.text === word;

  function any(): CalicoSelector {
    const parts = [all()];
    while (isNext("||")) {
      at++;
      parts.push(all());
    }
    return (labels) => parts.some((part) => part(labels));
  }
  function all(): CalicoSelector {
    const parts = [one()];
    while (isNext("&&")) {
      at++;
      parts.push(one());
    }
    return (labels) => parts.every((part) => part(labels));
  }
  function one(): CalicoSelector {
    if (isNext("!")) {
      at++;
      const inner = one();
      return (labels) => !inner(labels);
    }
    if (isNext("(")) {
      at++;
      const inner = any();
      next("sign", ")");
      return inner;
    }
    if (tokens![at]?.is === "call") return called();
    return compared(next("key"));
  }
  function called(): CalicoSelector {
    const name = next("call");
    if (name === "has") {
      const key = next("key");
      next("sign", ")");
      return (labels) => labelIn(labels, key) !== undefined;
    }
    next("sign", ")");
    // Pods are never global
    return name === "all" ? () => true : () => false;
  }
  function compared(key: string): CalicoSelector {
    if (isNext("==") || isNext("!=")) {
      const isEqual = next("sign") === "==";
      const value = next("value");
      return (labels) => (labelIn(labels, key) === value) === isEqual;
    }
    const operator = next("operator");
    if (operator === "in" || operator === "not in") {
      const values = set();
      return (labels) => values.has(labelIn(labels, key) ?? "\0") === (operator === "in");
    }
    const value = next("value");
    return (labels) => {
      const own = labelIn(labels, key);
      if (own === undefined) return false;
      if (operator === "contains") return own.includes(value);
      return operator === "starts with" ? own.startsWith(value) : own.endsWith(value);
    };
  }
  function set(): ReadonlySet<string> {
    const values = new Set<string>();
    next("sign", "{");
    while (!isNext("}")) {
      if (values.size > 0) next("sign", ",");
      values.add(next("value"));
    }
    next("sign", "}");
    return values;
  }

  try {
    const selector = any();
    return at === tokens.length ? selector : undefined;
  } catch (error) {
    if (error instanceof Unreadable) return undefined;
    throw error;
  }
}
