// Writes the first JavaScript example of the README to readme.mjs, to be run as it is.
import { readFileSync, writeFileSync } from "node:fs";

const [, example] = /```js\n([\s\S]*?)```/.exec(readFileSync(process.argv[2], "utf8"));
writeFileSync("readme.mjs", example);
