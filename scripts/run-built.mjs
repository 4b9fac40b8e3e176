import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { exitCodeOf } from './exit-code.mjs'
import { build, install } from './steps.mjs'
import { root } from './workspace.mjs'

const repeatMs = 500

/**
 * Installs and builds what is needed, then runs a built file in the foreground with our arguments, standard
 * streams and environment. Signals are passed on, and its exit code becomes ours.
 */
export function runBuilt(file) {
  if (!install() || !build()) process.exit(1)
  const child = spawn(process.execPath, [join(root, file), ...process.argv.slice(2)], {
    stdio: 'inherit',
  })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    let lastMs = -Infinity
    process.on(signal, () => {
      // A terminal sends Ctrl-C to every process of the group, the child included, and npm repeats it to us.
      // Passed on again it would read as "stop at once" to a program that stops gracefully at the first.
      if (signal === 'SIGINT' && process.stdin.isTTY) return
      const nowMs = performance.now()
      if (nowMs - lastMs < repeatMs) return
      lastMs = nowMs
      child.kill(signal)
    })
  }
  child.once('error', (error) => process.exit(exitCodeOf({ error })))
  child.once('exit', (status, signal) => process.exit(exitCodeOf({ status, signal })))
}
