/** What can go wrong with one answer of an API server, for a stub one: fault by fault. */
import { type Answering, refuse } from "./stub-api-server.ts";

/** A fault of one answer, and what then is known of what it would have told. */
export type Fault = readonly [name: string, fault: Answering, expected: RegExp];

export const drop: Answering = (_, response) => void response.socket!.destroy();
export const cutOff: Answering = (_, response) => {
  response.writeHead(200, { "content-length": "100000" });
  response.write('{"kind":"List","metadata":{},"items":[{"metadata":{"name":"a","namespace":"b"}', () =>
    response.socket!.destroy(),
  );
};
export const lyingShort: Answering = (_, response) => {
  response.writeHead(200, { "content-length": "40" });
  response.end('{"kind":"List","metadata":{},"items":[{"metadata":{"name":"a"}}]}'.slice(0, 40));
};
const lyingLong: Answering = (_, response) => {
  response.writeHead(200, { "content-length": "4000" });
  response.write('{"kind":"List","metadata":{},"items":[');
};
const trickle: Answering = (_, response) => {
  response.writeHead(200);
  const timer = setInterval(() => response.write(" "), 50);
  response.on("close", () => clearInterval(timer));
};

export const FAULTS: readonly Fault[] = [
  ["403", (_, response) => refuse(response, 403, "is forbidden: User cannot list"), /^is forbidden: User cannot list$/],
  ["404", (_, response) => refuse(response, 404, "the server could not find it"), /could not find it/],
  ["429 for ever", (_, response) => refuse(response, 429, "too many requests"), /too many requests/],
  ["500 for ever", (_, response) => refuse(response, 500, "etcdserver: leader changed"), /etcdserver: leader changed/],
  ["503 without words", (_, response) => void response.writeHead(503).end(), /HTTP 503/],
  ["a page of a proxy", (_, response) => void response.end("<html>please log in</html>"), /not a list|please log in/],
  ["a connection that is reset", drop, /no answer/],
  ["a body that is cut off", cutOff, /ended early|aborted/],
  ["a length that is too short", lyingShort, /cut off|ended early|JSON|aborted/i],
  ["a length that is too long", lyingLong, /silent|ended early/],
  ["silence", () => undefined, /silent for/],
  ["bytes without end", trickle, /not answered within|time for reading/],
  ["410 for ever", (_, response) => refuse(response, 410, "the version is too old"), /too old/],
];
