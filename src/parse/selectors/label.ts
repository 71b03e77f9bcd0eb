/**
 * A label selector as a query of the API carries it: `app=web,tier in (front,back),!old`.
 *
 * Grammar: apimachinery, pkg/labels/selector.go (Parse). The messages are its own, and so is what it lets pass: `a=` asks
 * for the empty value, `a in (,)` too, and a key may be called `in`.
 */

/** One condition on a label; `Gt` and `Lt` compare whole numbers. */
export type LabelRequirement = {
  readonly key: string;
  readonly operator: "In" | "NotIn" | "Exists" | "DoesNotExist" | "Gt" | "Lt";
  readonly values: readonly string[];
};

export type SelectorResult<T> =
  | { readonly ok: true; readonly value: readonly T[] }
  | { readonly ok: false; readonly why: string };

type TokenKind = "identifier" | "symbol" | "end";
type Token = { readonly kind: TokenKind; readonly text: string };

const TOKEN = /[ \t\r\n]*(?:(!=|==|[=!(),<>])|([^=!(),<> \t\r\n]+)|$)/y;

function tokensOf(text: string): Token[] {
  const tokens: Token[] = [];
  TOKEN.lastIndex = 0;
  for (;;) {
    const [, symbol, identifier] = TOKEN.exec(text)!;
    if (symbol !== undefined) tokens.push({ kind: "symbol", text: symbol });
    else if (identifier !== undefined) tokens.push({ kind: "identifier", text: identifier });
    else return [...tokens, { kind: "end", text: "" }];
  }
}

const OPERATORS: Readonly<Record<string, LabelRequirement["operator"]>> = {
  in: "In",
  notin: "NotIn",
  "=": "In",
  "==": "In",
  "!=": "NotIn",
  ">": "Gt",
  "<": "Lt",
};

const NAME = /^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$/;
const DNS_SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;

/** A qualified name: `name` or `prefix/name` (apimachinery, pkg/util/validation, IsQualifiedName). */
function isLabelKey(key: string): boolean {
  const parts = key.split("/");
  const name = parts.at(-1)!;
  if (parts.length > 2 || name.length > 63 || !NAME.test(name)) return false;
  return parts.length === 1 || (parts[0]!.length <= 253 && DNS_SUBDOMAIN.test(parts[0]!));
}

const isLabelValue = (value: string): boolean => value === "" || (value.length <= 63 && NAME.test(value));
/** A 64-bit integer, as Go's strconv.ParseInt reads one. */
const isInteger = (value: string): boolean =>
  /^[+-]?\d+$/.test(value) && BigInt.asIntN(64, BigInt(value.replace("+", ""))) === BigInt(value.replace("+", ""));

/** Thrown and caught in this file only: where the text stops making sense. */
class Misfit extends Error {}

class SelectorParser {
  readonly #tokens: readonly Token[];
  #at = 0;

  constructor(text: string) {
    this.#tokens = tokensOf(text);
  }

  #next(): Token {
    return this.#tokens[this.#at]!;
  }

  #take(): Token {
    const token = this.#next();
    if (token.kind !== "end") this.#at++;
    return token;
  }

  #expected(what: string, { text }: Token): Misfit {
    return new Misfit(`found '${text}', expected: ${what}`);
  }

  #beginsRequirement(): boolean {
    return this.#next().kind === "identifier" || this.#next().text === "!";
  }

  all(): LabelRequirement[] {
    const requirements: LabelRequirement[] = [];
    if (this.#next().kind === "end") return requirements;
    if (!this.#beginsRequirement()) throw this.#expected("!, identifier, or 'end of string'", this.#next());
    for (;;) {
      requirements.push(this.#requirement());
      const token = this.#take();
      if (token.kind === "end") return requirements;
      if (token.text !== ",") throw this.#expected("',' or 'end of string'", token);
      if (!this.#beginsRequirement()) throw this.#expected("identifier after ','", this.#next());
    }
  }

  #requirement(): LabelRequirement {
    try {
      return this.#oneRequirement();
    } catch (error) {
      if (error instanceof Misfit) throw new Misfit(`unable to parse requirement: ${error.message}`);
      throw error;
    }
  }

  #oneRequirement(): LabelRequirement {
    const isNegated = this.#next().text === "!";
    if (isNegated) this.#take();
    const token = this.#take();
    if (token.kind !== "identifier") throw this.#expected("identifier", token);
    const key = token.text;
    if (!isLabelKey(key)) throw new Misfit(`<nil>: Invalid value: "${key}": not a qualified name`);
    // `!a=b` is read as a requirement that a is not there, followed by something that does not belong there
    if (isNegated) return { key, operator: "DoesNotExist", values: [] };
    if (this.#next().kind === "end" || this.#next().text === ",") return { key, operator: "Exists", values: [] };
    const operatorToken = this.#take();
    const operator = Object.hasOwn(OPERATORS, operatorToken.text) ? OPERATORS[operatorToken.text]! : undefined;
    if (!operator) throw this.#expected("in, notin, =, ==, !=, gt, lt", operatorToken);
    const values = operatorToken.kind === "identifier" ? this.#valueSet() : [this.#exactValue()];
    const wrong = operator === "Gt" || operator === "Lt" ? values.find((one) => !isInteger(one)) : undefined;
    if (wrong !== undefined) {
      throw new Misfit(`values[0]: Invalid value: "${wrong}": for 'Gt', 'Lt' operators, the value must be an integer`);
    }
    const invalid = values.find((one) => !isLabelValue(one));
    if (invalid !== undefined) throw new Misfit(`values[0][${key}]: Invalid value: "${invalid}": not a label value`);
    return { key, operator, values };
  }

  #exactValue(): string {
    if (this.#next().kind === "end" || this.#next().text === ",") return "";
    const token = this.#take();
    if (token.kind !== "identifier") throw this.#expected("identifier", token);
    return token.text;
  }

  #valueSet(): string[] {
    const opening = this.#take();
    if (opening.text !== "(") throw new Misfit(`found '${opening.text}' expected: '('`);
    const values = new Set<string>();
    // between commas and parentheses, nothing is the empty value
    for (;;) {
      values.add(this.#next().kind === "identifier" ? this.#take().text : "");
      const token = this.#take();
      if (token.text === ")") return [...values];
      if (token.text !== ",") throw this.#expected("',' or ')'", token);
    }
  }
}

/** Reads a label selector; the empty text selects everything. */
export function parseLabelSelector(text: string): SelectorResult<LabelRequirement> {
  try {
    return { ok: true, value: new SelectorParser(text).all() };
  } catch (error) {
    if (error instanceof Misfit) return { ok: false, why: error.message };
    throw error;
  }
}
