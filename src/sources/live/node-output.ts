/**
 * What node-script.sh prints, taken apart while it arrives.
 *
 * Format, where MARK is a word that the reader chose: `MARK node NAME` first; `MARK + PATH` before the content of a file
 * and, on a line of its own behind it, `MARK - STATUS COMPLAINT`; `MARK ! PATH MESSAGE` for a file that could not be had;
 * `MARK netns INODE [POD-UID]` before the files `netns/INODE/…` of one network namespace; `MARK end` last.
 */
import { lineSplitter } from "../../evidence/lines.ts";

/** That of a script that is run by hand. */
export const DEFAULT_MARK = "@@netwhy-node@@";

export type NodeFile = { readonly content: string /** Why it is not whole. */; readonly flaw?: string };

export type NodeOutputEvents = {
  readonly onFile: (path: string, file: NodeFile) => void;
  readonly onMissing: (path: string, message: string) => void;
  /** The files of one network namespace, all at once. */
  readonly onNamespace: (podUid: string | undefined, files: ReadonlyMap<string, NodeFile>) => void;
};

/** Characters: of one file, and of a line. A node with 10,000 Services has 30 MB of rules. */
const LARGEST_FILE = 128 * 1024 * 1024;
const LARGEST_LINE = 64 * 1024 * 1024;

export type NodeOutputReader = {
  write(piece: string): void;
  /** @returns whether the script came to its end */
  end(why?: string): boolean;
};

export function nodeOutput(mark: string, events: NodeOutputEvents): NodeOutputReader {
  let path: string | undefined;
  let parts: string[] = [];
  let length = 0;
  let namespace:
    | { readonly inode: string; readonly uid: string | undefined; readonly files: Map<string, NodeFile> }
    | undefined;
  let isDone = false;

  function endFile(flaw: string | undefined): void {
    if (path === undefined) return;
    const tooLarge =
      length > LARGEST_FILE ? `larger than ${LARGEST_FILE} characters: the rest was not read` : undefined;
    const why = tooLarge ?? flaw;
    const file: NodeFile = { content: parts.join("\n"), ...(why !== undefined && { flaw: why }) };
    const prefix = `netns/${namespace?.inode}/`;
    if (namespace && path.startsWith(prefix)) namespace.files.set(path.slice(prefix.length), file);
    // a command that failed and printed nothing tells nothing but why
    else if (flaw !== undefined && file.content.trim() === "") events.onMissing(path, flaw);
    else events.onFile(path, file);
    path = undefined;
    parts = [];
    length = 0;
  }

  function endNamespace(): void {
    if (namespace) events.onNamespace(namespace.uid, namespace.files);
    namespace = undefined;
  }

  function control(words: string): void {
    const [verb = "", first = "", ...rest] = words.split(" ");
    const message = rest.join(" ").trim();
    if (verb === "+") {
      endFile("cut off here");
      path = first;
    } else if (verb === "-") {
      endFile(first === "0" ? undefined : `exit status ${first}${message === "" ? "" : `: ${message}`}`);
    } else if (verb === "!") events.onMissing(first, message);
    else if (verb === "netns") {
      endNamespace();
      namespace = { inode: first, uid: message === "" ? undefined : message, files: new Map() };
    } else if (verb === "end") isDone = true;
  }

  const lines = lineSplitter(LARGEST_LINE, (line) => {
    if (line.startsWith(`${mark} `)) control(line.slice(mark.length + 1));
    else if (path !== undefined && length <= LARGEST_FILE) {
      parts.push(line);
      length += line.length + 1;
    }
  });
  return {
    write: (piece) => lines.write(piece),
    end(why = "cut off here") {
      const rest = lines.end();
      // the beginning of a mark is no content
      if (path !== undefined && rest !== "" && !mark.startsWith(rest.slice(0, mark.length))) parts.push(rest);
      endFile(why);
      endNamespace();
      return isDone;
    },
  };
}
