// Child process: answers what it is told.
import { serve } from "../../../bench/support/child.ts";

serve({ echo: (argument: unknown) => argument }, () => undefined);
