import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["{src,testing,tools,scenarios}/**/*.test.ts"],
    // the machines that run this have two cores, and other things to do
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 120_000,
  },
});
