/**
 * Before each file of tests: properties try the same cases each time, so that what has passed once passes on every machine.
 * With NETWHY_LONG=1 they try others each time, with NETWHY_SEED those of that seed.
 */
import fc from "fast-check";

const { NETWHY_SEED, NETWHY_LONG } = process.env;
if (NETWHY_SEED || !NETWHY_LONG) fc.configureGlobal({ seed: Number(NETWHY_SEED ?? 11) });
