// As npm test, with time for counting.
import { type ViteUserConfig, defineConfig } from "vitest/config";
import base from "../vitest.config.ts";

const config: ViteUserConfig = defineConfig({
  test: {
    ...base.test,
    testTimeout: 300_000,
    hookTimeout: 300_000,
    setupFiles: ["dist/test/coverage/setup.js"],
  },
});

export default config;
