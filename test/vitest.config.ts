// How the tests run, in npm test and wherever else. Node itself imports the code under test, as it does in
// production: what vitest rewrites is loaded more slowly, and reads each import anew at each access.
import { type ViteUserConfig, defineConfig } from "vitest/config";

const config: ViteUserConfig = defineConfig({
  test: {
    dir: "dist/test",
    testTimeout: 120_000,
    maxWorkers: "100%",
    server: { deps: { external: [/\/dist\/src\//] } },
  },
});

export default config;
