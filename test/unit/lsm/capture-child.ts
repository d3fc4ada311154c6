// Captures a database that belongs to another user, as a user who may read it only. Prints how.
import { nodeEnvironment } from "../../../src/environment/node-environment.ts";
import { captureFiles } from "../../../src/lsm/capture.ts";
import { ManifestFollower } from "../../../src/lsm/manifest-follower.ts";

const NOBODY = 65_534;

const [, , directory = "", target = ""] = process.argv;
process.setgroups?.([]);
process.setgid?.(NOBODY);
process.setuid?.(NOBODY);
const environment = nodeEnvironment();
const manifest = new ManifestFollower(environment.fileSystem, directory);
const source = { directory, manifest };
const { linkedFiles, copiedFiles } = await captureFiles(environment, source, target, new Set());
process.stdout.write(JSON.stringify({ linkedFiles, copiedFiles }));
