// Runs the pnpm version that package.json pins, on a machine that has only Node.js and npm.
//
//   node scripts/pnpm.mjs install        node scripts/pnpm.mjs exec turbo run build
//
// A pnpm of exactly that version on PATH is used; otherwise npx fetches it into npm's cache. npx takes a second
// or two each time, so where it put pnpm is remembered. Corepack is not used: newer Node.js does not bring it.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, realpathSync, writeFileSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { exitCodeOf } from './exit-code.mjs'
import { root } from './workspace.mjs'

const { packageManager } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
const version = packageManager.slice('pnpm@'.length)
const placeFile = join(root, 'node_modules', '.cache', 'kv', `pnpm-${version}`)

// On Windows the launchers are .cmd files, which only a shell can start.
const shell = process.platform === 'win32'

/** Runs pnpm in the repository root and waits for it; `options` go to `spawnSync`. */
export function pnpm(args, options = {}) {
  const searchPath = [pnpmFolder(), process.env.PATH].filter(Boolean).join(delimiter)
  const env = {
    ...process.env,
    PATH: searchPath,
    TURBO_TELEMETRY_DISABLED: '1',
    TURBO_NO_UPDATE_NOTIFIER: '1',
    TURBO_PRINT_VERSION_DISABLED: '1',
  }
  return spawnSync('pnpm', args, { cwd: root, stdio: 'inherit', shell, ...options, env })
}

/** The folder to put before PATH; empty if the pnpm that PATH finds is the pinned one. */
function pnpmFolder() {
  const onPath = spawnSync('pnpm', ['--version'], { cwd: root, encoding: 'utf8', shell })
  if (onPath.status === 0 && onPath.stdout.trim() === version) return ''
  const remembered = existsSync(placeFile) ? readFileSync(placeFile, 'utf8') : ''
  if (holdsPnpm(remembered)) return remembered
  const fetched = fetchPnpm()
  // pnpm wants to create node_modules itself: before the first install nothing is written there.
  if (existsSync(join(root, 'node_modules', '.modules.yaml'))) {
    mkdirSync(dirname(placeFile), { recursive: true })
    writeFileSync(placeFile, fetched)
  }
  return fetched
}

function fetchPnpm() {
  const print = ['node', '-p', 'process.env.PATH']
  const npx = spawnSync('npx', ['-y', '-p', `pnpm@${version}`, '--', ...print], {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    shell,
    env: { ...process.env, npm_config_update_notifier: 'false' },
  })
  const folder = npx.status === 0 && npx.stdout.trim().split(delimiter).find(holdsPnpm)
  if (folder) return folder
  console.error(npx.stderr ?? npx.error?.message)
  throw new Error(`npx could not fetch pnpm@${version}; is the npm registry reachable?`)
}

function holdsPnpm(folder) {
  return folder.includes('_npx') && existsSync(join(folder, 'pnpm'))
}

if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  process.exitCode = exitCodeOf(pnpm(process.argv.slice(2)))
}
