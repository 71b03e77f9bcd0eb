/** Parts of sentences that the report puts together. */
import { joinTexts, type Template, type Text } from "../text.ts";

/** Words without gaps, as the catalogue and the capabilities have them. */
export const phrase = (template: Template): Text => ({ id: "phrase", args: {}, en: template.en, zh: template.zh });

export const list = (parts: readonly Text[]): Text => joinTexts(parts, { en: ", ", zh: "、" });
