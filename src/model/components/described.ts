/** Components that netwhy does not know, as those who run them describe them. */
import type { Capture } from "../../evidence/capture.ts";
import { isWhole, known } from "../../evidence/observed.ts";
import { type ComponentDefinition, imageRepository, type Matcher } from "./definitions.ts";

/**
 * Matches one part of a path; `*` is any part of it. It goes back to the last star only, so it takes no more than the
 * product of both lengths, whatever the pattern.
 */
function fits(pattern: string, text: string): boolean {
  let at = 0;
  let star = -1;
  let resume = 0;
  let next = 0;
  while (at < text.length) {
    if (pattern[next] === "*") {
      star = next++;
      resume = at;
    } else if (next < pattern.length && pattern[next] === text[at]) {
      next++;
      at++;
    } else if (star >= 0) {
      next = star + 1;
      at = ++resume;
    } else return false;
  }
  return /^\**$/.test(pattern.slice(next));
}

/** Matches a repository by its last parts: `acme/agent-*` is `mirror/acme/agent-amd64` as well. */
export function repositoryLike(glob: string): Matcher {
  const patterns = imageRepository(glob).split("/");
  return {
    test(repository) {
      const parts = repository.split("/").slice(-patterns.length);
      return parts.length === patterns.length && parts.every((part, at) => fits(patterns[at]!, part));
    },
  };
}

const NOTHING: Matcher = { test: () => false };

/** Definitions from all descriptions: what was given last counts first. */
export function describedIn(capture: Capture): readonly ComponentDefinition[] {
  return capture
    .all("components")
    .toReversed()
    .flatMap(({ place: { file = "" }, observed }) =>
      (known(observed) ?? []).map(
        (by): ComponentDefinition => ({
          // no name makes it a component whose ways we know
          id: `described/${by.name}`,
          name: by.name,
          duties: by.duties,
          image: repositoryLike(by.image),
          process: NOTHING,
          described: { file: `${file}.yaml`, by },
        }),
      ),
    );
}

/** Files of descriptions that make no sense, or not in every part. */
export const unreadableIn = (capture: Capture): readonly { readonly file: string }[] =>
  capture
    .all("components")
    .filter(({ observed }) => !isWhole(observed))
    .map(({ place: { file = "" } }) => ({ file }));

/** A component whose ways we know, of which a description says what it needs here. */
export const withDescription = (ours: ComponentDefinition, theirs: ComponentDefinition): ComponentDefinition => ({
  ...ours,
  name: theirs.name,
  duties: [...new Set([...ours.duties, ...theirs.duties])],
  ...(theirs.described && { described: theirs.described }),
});
