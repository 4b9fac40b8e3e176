/** What of others is in a bundle: their licences come with it. */
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Plugin } from 'vite'

const FILE_NAME = 'LICENSES.txt'

/** Writes the licence texts of all packages that a module of the bundle comes from. */
export function licences(): Plugin {
  return {
    name: 'licences',
    generateBundle(_options, bundle) {
      const modules = Object.values(bundle).flatMap((file) =>
        file.type === 'chunk' ? file.moduleIds : [],
      )
      const others = modules.filter((id) => id.includes('/node_modules/') && !id.startsWith('\0'))
      const packages = [...new Set(others.map(packageFolder))].toSorted()
      this.emitFile({
        type: 'asset',
        fileName: FILE_NAME,
        source: packages.map(licenceOf).join('\n\n'),
      })
    },
  }
}

function packageFolder(module: string): string {
  let folder = dirname(module)
  while (!existsSync(join(folder, 'package.json'))) folder = dirname(folder)
  return folder
}

function licenceOf(folder: string): string {
  const { name, version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
    readonly name: string
    readonly version: string
  }
  const file = readdirSync(folder).find((each) => /^licen[cs]e/i.test(each))
  if (file === undefined) throw new Error(`${name} comes without its licence`)
  return `${name} ${version}\n\n${readFileSync(join(folder, file), 'utf8').trim()}\n`
}
