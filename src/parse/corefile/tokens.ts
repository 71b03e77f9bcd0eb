/**
 * The words of a Corefile, with its lines: the lexer of coredns/caddy (caddyfile/lexer.go), with its peculiarities.
 *
 * Words are separated by blanks; one that begins with a quote goes on to the next quote, `\"` within stands for a
 * quote. `#` begins a comment, inside a word too, and then only up to the next blank. Carriage returns are nothing.
 */
export type Token = { readonly text: string; readonly line: number };

const NEXT_LINE = "\u0085";
const BYTE_ORDER_MARK = "\ufeff";

/** Go's unicode.IsSpace */
function isSpace(char: string): boolean {
  return char <= " "
    ? /\s/.test(char)
    : (char >= NEXT_LINE && /\s/.test(char) && char !== BYTE_ORDER_MARK) || char === NEXT_LINE;
}

/**
 * Reads the quoted word whose first quote stands before `start`; one that is never closed goes to the end of the text.
 */
function readQuoted(text: string, start: number): { readonly word: string; readonly end: number } {
  let end = start;
  while (end < text.length && text[end] !== '"') end += text[end] === "\\" ? 2 : 1;
  return { word: text.slice(start, end).replaceAll('\\"', '"'), end: end + 1 };
}

export function tokensOf(text: string): Token[] {
  const tokens: Token[] = [];
  let line = 1;
  let word = "";
  let wordLine = 1;
  let isComment = false;
  const endWord = () => {
    if (word === "") return;
    tokens.push({ text: word, line: wordLine });
    word = "";
    isComment = false;
  };
  for (let at = text.startsWith(BYTE_ORDER_MARK) ? 1 : 0; at < text.length; at++) {
    const char = text[at]!;
    if (char === "\n") {
      endWord();
      isComment = false;
      line++;
    } else if (char === "\r") continue;
    else if (isSpace(char)) endWord();
    else if (isComment || char === "#") isComment = true;
    else if (word === "" && char === '"') {
      const quoted = readQuoted(text, at + 1);
      if (quoted.word !== "" || quoted.end <= text.length) tokens.push({ text: quoted.word, line });
      line += lineBreaks(quoted.word);
      at = quoted.end - 1;
    } else {
      if (word === "") wordLine = line;
      word += char;
    }
  }
  endWord();
  return tokens;
}

function lineBreaks(word: string): number {
  let count = 0;
  for (let at = word.indexOf("\n"); at >= 0; at = word.indexOf("\n", at + 1)) count++;
  return count;
}

const lastLineOf = (token: Token): number => token.line + lineBreaks(token.text);

/**
 * Whether `token` begins a line. A snippet's words keep their lines, which lie before that of its import: those begin
 * none.
 */
export function beginsLine(token: Token, before: Token | undefined): boolean {
  return before === undefined || lastLineOf(before) < token.line;
}

/** Whether `token` is on the line of the one before it. */
export function isOnLineOf(token: Token, before: Token): boolean {
  return lastLineOf(before) === token.line;
}

/** `{$NAME}` and `{%NAME%}` are replaced from CoreDNS' environment, which we do not know. */
export function hasVariable(word: string): boolean {
  return word.includes("{$") || word.includes("{%");
}
