import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["{src,testing,tools,scenarios}/**/*.test.ts"],
    setupFiles: ["testing/seed.ts"],
    // the machines that run this have two cores, and other things to do
    maxWorkers: 2,
    // no test leaves anything behind in a module, and to load them for each file takes three times as long
    isolate: false,
    // no test waits for time to pass: what is slow is the machine, and each group has its budget (tools/test.ts)
    testTimeout: 180_000,
    hookTimeout: 240_000,
  },
});
