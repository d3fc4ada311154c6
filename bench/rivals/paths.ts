import { fileURLToPath } from "node:url";

/** From dist/bench/rivals. */
const repository = new URL("../../../", import.meta.url);

export const nativeBench: string = fileURLToPath(new URL("native-bench", repository));
