/**
 * Packs a recording for scenarios/: what the catalogue of evidence knows and nothing else, in a fixed order and without
 * times, so that the same recording makes the same archive.
 *
 *   node tools/pack-incident.ts RECORDING/bundle scenarios/NAME
 */
import { createWriteStream, mkdirSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import { pack } from "tar-stream";
import { matchPath } from "../src/evidence/path.ts";

function* filesIn(root: string, folder = ""): Iterable<string> {
  for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
    const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
    if (entry.isDirectory()) yield* filesIn(root, path);
    else if (entry.isFile()) yield path;
  }
}

async function packIncident(bundle: string, scenario: string): Promise<void> {
  mkdirSync(scenario, { recursive: true });
  const target = join(scenario, "bundle.tar.gz");
  const paths = [...filesIn(bundle)].filter((path) => matchPath(path)).sort();
  const archive = pack();
  const done = pipeline(archive, createGzip({ level: 9 }), createWriteStream(target));
  for (const path of paths) {
    await new Promise<void>((resolve, reject) => {
      const header = { name: path, mtime: new Date(0), mode: 0o644, uid: 0, gid: 0 };
      archive.entry(header, readFileSync(join(bundle, path)), (error) => (error ? reject(error) : resolve()));
    });
  }
  archive.finalize();
  await done;
  process.stdout.write(`${target}: ${paths.length} files, ${Math.round(statSync(target).size / 1024)} KiB\n`);
}

const [bundle, scenario] = process.argv.slice(2);
if (bundle === undefined || scenario === undefined) {
  process.stderr.write("usage: node tools/pack-incident.ts RECORDING/bundle scenarios/NAME\n");
  process.exitCode = 3;
} else {
  await packIncident(bundle, scenario);
}
