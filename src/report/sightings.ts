/** What both ends saw of packets, in words. */
import { type Text, texts } from "../text.ts";
import type { Sighting } from "../trace/forecast.ts";

const say = texts("sightings", {
  lostBetween: { en: "{from} saw them, {to} never did", zh: "{from} 已发出，{to} 从未收到" },
  answerLost: { en: "{from} saw the answer, {to} did not", zh: "{from} 有应答记录，{to} 未收到应答" },
  unanswered: { en: "they came to {at}, and nothing answered", zh: "报文已到达 {at}，但无应答" },
});

export function sightingText(sighting: Sighting): Text {
  switch (sighting.is) {
    case "lost-between":
      return say.lostBetween(sighting);
    case "answer-lost":
      return say.answerLost(sighting);
    case "unanswered":
      return say.unanswered(sighting);
  }
}
