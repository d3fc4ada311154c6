// How the tests run, in npm test and wherever else. Node itself imports the code under test, as it does in
// production: what vitest rewrites is loaded more slowly, and reads each import anew at each access.
import { type ViteUserConfig, defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";

/** Whole backends and programs: what takes longest begins first, so that no processor waits for the last one. */
const first = ["conformance/lsm-", "lifecycle/", "e2e/", "integration/", "crash/", "unit/backend/"];

function rankOf({ moduleId }: TestSpecification): number {
  const rank = first.findIndex((part) => moduleId.includes(`/dist/test/${part}`));
  return rank < 0 ? first.length : rank;
}

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    return sorted.toSorted((a, b) => rankOf(a) - rankOf(b));
  }
}

const config: ViteUserConfig = defineConfig({
  test: {
    dir: "dist/test",
    testTimeout: 120_000,
    maxWorkers: "100%",
    sequence: { sequencer: LongestFirst },
    server: { deps: { external: [/\/dist\/src\//] } },
  },
});

export default config;
