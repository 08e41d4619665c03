// How the console is built: hashed files under dist/assets, each with a brotli copy beside it, no inline script or style.
import { readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { brotliCompress, constants } from 'node:zlib'
import vue from '@vitejs/plugin-vue'
import elementPlus from 'unplugin-element-plus/vite'
import { defineConfig, type Plugin } from 'vite'

const root = fileURLToPath(new URL('.', import.meta.url))
const dist = join(root, 'dist')
const pack = promisify(brotliCompress)

/** Empties dist but for the file that keeps the folder in the repository, and packs what was built. */
function distFolder(): Plugin {
  return {
    name: 'doorstep-dist',
    apply: 'build',
    async buildStart() {
      for (const name of await readdir(dist)) {
        if (name !== '.gitignore') await rm(join(dist, name), { recursive: true })
      }
    },
    async closeBundle() {
      for (const entry of await readdir(dist, { recursive: true, withFileTypes: true })) {
        if (!entry.isFile() || !/\.(js|css|html|svg|json)$/.test(entry.name)) continue
        const path = join(entry.parentPath, entry.name)
        const plain = await readFile(path)
        const packed = await pack(plain, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } })
        if (packed.length < plain.length) await writeFile(`${path}.br`, packed)
      }
    },
  }
}

export default defineConfig({
  plugins: [vue(), elementPlus({}), distFolder()],
  resolve: { alias: { '@': join(root, 'src') } },
  define: { __VUE_OPTIONS_API__: false },
  build: {
    outDir: 'dist',
    emptyOutDir: false,
    target: 'es2022',
    // A picture in a style sheet stays a file of its own.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 700,
  },
  // Pages from vite, the API from a server: DOORSTEP_SERVER, or the one that ./x run starts.
  server: {
    port: 5173,
    proxy: { '/api': { target: process.env['DOORSTEP_SERVER'] ?? 'http://127.0.0.1:8600' } },
  },
})
