// As npm test, but the code is imported by Node itself: what vitest rewrites has other places than the source maps.
import { type ViteUserConfig, defineConfig } from "vitest/config";

const config: ViteUserConfig = defineConfig({
  test: {
    dir: "dist/test",
    testTimeout: 300_000,
    hookTimeout: 300_000,
    maxWorkers: "100%",
    setupFiles: ["dist/test/coverage/setup.js"],
    server: { deps: { external: [/\/dist\/src\//] } },
  },
});

export default config;
