// The steps that `npm start`, `npm test`, `npm run check` and `npm run bench` have in common: each prints
// one line, and shows the output of its tool only when it failed.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { styleText } from 'node:util'
import { pnpm } from './pnpm.mjs'
import { root, workspaceFolders } from './workspace.mjs'

const stampFile = join(root, 'node_modules', '.cache', 'kv', 'installed')

/** Runs one step. `run` returns what `spawnSync` returned. True if it succeeded. */
export function step(name, run) {
  const startMs = performance.now()
  const { status, stdout, stderr, error } = run()
  const seconds = ((performance.now() - startMs) / 1000).toFixed(1)
  if (status === 0) {
    console.log(`${paint('green', '✓')} ${name} ${paint('dim', `${seconds} s`)}`)
    return true
  }
  console.log(`${paint('red', '✗')} ${name} failed`)
  const output = [stdout, stderr, error?.message].filter(Boolean).join('\n').trim()
  if (output) console.log(output)
  return false
}

/** Installs the dependencies unless the lock file and every manifest are as at the last install. */
export function install() {
  const fingerprint = installFingerprint()
  if (readStamp() === fingerprint) return true
  const isDone = step('install', () => captured(pnpm, ['install', '--frozen-lockfile']))
  if (isDone) {
    mkdirSync(join(stampFile, '..'), { recursive: true })
    writeFileSync(stampFile, fingerprint)
  }
  return isDone
}

export const build = () => step('build', () => turbo('build'))
export const typecheck = () => step('typecheck', () => turbo('typecheck', '--continue'))
export const lint = () => step('lint', () => captured(bin('oxlint')))
export const formatCheck = () => step('format', () => captured(bin('oxfmt'), ['--check']))

/** A function that runs a tool of the root package, without a package manager in between. */
export function bin(name) {
  const manifest = join(root, 'node_modules', name, 'package.json')
  return (args = [], options = {}) => {
    const { bin: entry } = JSON.parse(readFileSync(manifest, 'utf8'))
    const file = join(manifest, '..', typeof entry === 'string' ? entry : entry[name])
    return spawnSync(process.execPath, [file, ...args], { cwd: root, stdio: 'inherit', ...options })
  }
}

// turbo asks for pnpm on PATH, and `pnpm exec` puts it there.
const turbo = (...args) => captured(pnpm, ['exec', 'turbo', 'run', ...args])

function captured(run, args = []) {
  return run(args, { stdio: ['ignore', 'pipe', 'pipe'], encoding: 'utf8', maxBuffer: 1 << 28 })
}

function installFingerprint() {
  const hash = createHash('sha256').update(process.version).update(process.platform)
  const manifests = workspaceFolders().map((folder) => join(folder, 'package.json'))
  const settings = ['pnpm-lock.yaml', 'pnpm-workspace.yaml'].map((name) => join(root, name))
  for (const file of [...settings, ...manifests]) {
    if (existsSync(file)) hash.update(relative(root, file)).update(readFileSync(file))
  }
  return hash.digest('hex')
}

function readStamp() {
  return existsSync(stampFile) ? readFileSync(stampFile, 'utf8') : undefined
}

function paint(style, text) {
  const isColoured = process.stdout.isTTY && !process.env.NO_COLOR
  return isColoured ? styleText(style, text) : text
}
