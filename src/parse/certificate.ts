/**
 * How long certificates count: of PEM, the validity of each certificate in it.
 *
 *   -----BEGIN CERTIFICATE-----
 *   MIIBnzCCAUWgAwIBAgIUIvpL… (base64 of DER)
 *
 * Source: RFC 5280, 4.1: Certificate ::= SEQUENCE { tbsCertificate SEQUENCE { [0] version OPTIONAL, serialNumber INTEGER,
 * signature SEQUENCE, issuer SEQUENCE, validity SEQUENCE { notBefore, notAfter }, … } … }, times as UTCTime or GeneralizedTime.
 */
export type Validity = {
  /** Milliseconds since 1970. */
  readonly notBefore: number;
  readonly notAfter: number;
};

type Element = { readonly tag: number; readonly start: number; readonly end: number };

const SEQUENCE = 0x30;
const SET = 0x31;
const VERSION = 0xa0;
const UTC_TIME = 0x17;

/** What a request for a certificate asks to be called: its common name, and its organizations. */
export type Subject = { readonly name: string; readonly organizations: readonly string[] };

/** The element at a place; undefined where there is none, or it is cut off. */
function elementAt(der: Uint8Array, at: number): Element | undefined {
  const [tag, short] = [der[at], der[at + 1]];
  if (tag === undefined || short === undefined) return undefined;
  const bytes = short < 0x80 ? 0 : short & 0x7f;
  if (bytes > 4) return undefined;
  let length = bytes === 0 ? short : 0;
  for (let i = 0; i < bytes; i++) length = length * 256 + (der[at + 2 + i] ?? 0);
  const start = at + 2 + bytes;
  return start + length > der.length ? undefined : { tag, start, end: start + length };
}

function elementsIn(der: Uint8Array, { start, end }: Element, most: number): Element[] {
  const found: Element[] = [];
  for (let at = start; at < end && found.length < most; ) {
    const element = elementAt(der, at);
    if (!element) break;
    found.push(element);
    at = element.end;
  }
  return found;
}

const textOf = (bytes: Uint8Array): string => Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");

/** `261122053936Z`, or `21261029053936Z`; years of two digits are 1950 to 2049. */
function timeIn(der: Uint8Array, { tag, start, end }: Element): number | undefined {
  const text = textOf(der.subarray(start, end));
  const full = tag === UTC_TIME ? `${Number(text.slice(0, 2)) < 50 ? "20" : "19"}${text}` : text;
  const [, ...parts] = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/.exec(full) ?? [];
  if (parts.length === 0) return undefined;
  const [year, month, day, hour, minute, second] = parts;
  const time = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
  return Number.isNaN(time) ? undefined : time;
}

function validityIn(der: Uint8Array): Validity | undefined {
  const certificate = elementAt(der, 0);
  const body = certificate?.tag === SEQUENCE ? elementAt(der, certificate.start) : undefined;
  if (body?.tag !== SEQUENCE) return undefined;
  const fields = elementsIn(der, body, 5);
  const validity = fields[fields[0]?.tag === VERSION ? 4 : 3];
  if (validity?.tag !== SEQUENCE) return undefined;
  const [from, to] = elementsIn(der, validity, 2);
  const notBefore = from && timeIn(der, from);
  const notAfter = to && timeIn(der, to);
  return notBefore === undefined || notAfter === undefined ? undefined : { notBefore, notAfter };
}

const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/** Base64 (RFC 4648, 4) with or without line ends; undefined for what is none. What runs in a browser has no Buffer. */
function bytesOf(base64: string): Uint8Array | undefined {
  const digits = base64.replace(/\s+/g, "").replace(/={1,2}$/, "");
  if (digits.length % 4 === 1) return undefined;
  const bytes = new Uint8Array(Math.floor((digits.length * 3) / 4));
  let [bits, held, at] = [0, 0, 0];
  for (const digit of digits) {
    const value = DIGITS.indexOf(digit);
    if (value < 0) return undefined;
    bits = ((bits << 6) | value) & 0xffff;
    held += 6;
    if (held < 8) continue;
    held -= 8;
    bytes[at++] = (bits >> held) & 0xff;
  }
  return bytes;
}

/**
 * The validity of each certificate of a PEM text.
 *
 * @returns undefined if it holds none, or one that cannot be read
 */
export function validitiesOf(pem: string): readonly Validity[] | undefined {
  const blocks = [...pem.matchAll(/-----BEGIN CERTIFICATE-----([^-]*)-----END CERTIFICATE-----/g)];
  const found = blocks.map(([, body = ""]) => {
    const der = bytesOf(body);
    return der && validityIn(der);
  });
  return found.length > 0 && found.every((one) => one !== undefined) ? found : undefined;
}

/** The same of a PEM text in base64, as `caBundle` has it. */
export function validitiesInBundle(base64: string): readonly Validity[] | undefined {
  const bytes = bytesOf(base64);
  return bytes && validitiesOf(textOf(bytes));
}

/** 2.5.4.3 and 2.5.4.10 (X.520), in DER. */
const ATTRIBUTES = { commonName: "\x55\x04\x03", organization: "\x55\x04\x0a" } as const;

const MOST_ATTRIBUTES = 64;

/**
 * The subject of a certificate request in base64, as `spec.request` of a CertificateSigningRequest has it.
 *
 * Source: RFC 2986, 4.1: CertificationRequest ::= SEQUENCE { SEQUENCE { version, subject Name, … }, … }; RFC 5280, 4.1.2.4: Name
 * is a SEQUENCE of SETs of SEQUENCE { type OBJECT IDENTIFIER, value }.
 */
export function subjectOfRequest(base64: string): Subject | undefined {
  const text = bytesOf(base64);
  const [, body] = /-----BEGIN (?:NEW )?CERTIFICATE REQUEST-----([^-]*)-----END/.exec(text ? textOf(text) : "") ?? [];
  const der = body === undefined ? undefined : bytesOf(body);
  const request = der && elementAt(der, 0);
  const info = der && request?.tag === SEQUENCE ? elementAt(der, request.start) : undefined;
  if (!der || info?.tag !== SEQUENCE) return undefined;
  const [, subject] = elementsIn(der, info, 2);
  if (subject?.tag !== SEQUENCE) return undefined;
  const wordsIn = ({ start, end }: Element): string => textOf(der.subarray(start, end));
  const attributes = elementsIn(der, subject, MOST_ATTRIBUTES)
    .filter(({ tag }) => tag === SET)
    .flatMap((set) => elementsIn(der, set, MOST_ATTRIBUTES))
    .map((pair) => elementsIn(der, pair, 2).map(wordsIn));
  const of = (type: string) => attributes.flatMap(([id, value]) => (id === type && value !== undefined ? [value] : []));
  const [name] = of(ATTRIBUTES.commonName);
  return name === undefined ? undefined : { name, organizations: of(ATTRIBUTES.organization) };
}
