/** The lines of what a source is sent. */
export { lineSplitter } from "../parse/line-splitter.ts";
