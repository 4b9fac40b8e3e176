// `npm run clean`: removes everything that was built. Installed dependencies stay.
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { workspaceFolders } from './workspace.mjs'

for (const folder of workspaceFolders()) {
  for (const built of ['dist', '.turbo', 'coverage']) {
    rmSync(join(folder, built), { recursive: true, force: true })
  }
}
