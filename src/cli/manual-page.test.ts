import { expect, it } from "vitest";
import { drawBlocks } from "../report/formats/terminal.ts";
import { manualBlocks } from "./manual-page.ts";

const PAGE = `# Title

A paragraph of
two lines with \`code\`.

**How it looks.** Like this:

- one
- two, which is
  long

\`\`\`sh
kubectl get pods
\`\`\``;

it("draws the Markdown that we write", () => {
  expect(drawBlocks(manualBlocks(PAGE), { width: 60, color: false })).toMatchInlineSnapshot(`
    "Title

    A paragraph of two lines with \`code\`.

    How it looks. Like this:

    • one
    • two, which is long

      kubectl get pods
    "
  `);
  expect(drawBlocks(manualBlocks("**How** `x` y"), { width: 60, color: true })).toBe(
    "\u001b[1mHow\u001b[22m \u001b[36mx\u001b[39m y\n",
  );
});

it("joins Chinese lines without a space", () => {
  expect(drawBlocks(manualBlocks("节点\n异常 at\nw1"), { width: 60, color: false })).toBe("节点异常 at w1\n");
});
