// Lints of the console. What formatting is about belongs to prettier.
import prettier from 'eslint-config-prettier'
import vue from 'eslint-plugin-vue'
import typescript from 'typescript-eslint'

export default typescript.config(
  { ignores: ['dist', 'node_modules', 'src/api/schema.d.ts', 'test-results'] },
  ...typescript.configs.strict,
  ...vue.configs['flat/recommended'],
  {
    files: ['**/*.vue'],
    languageOptions: { parserOptions: { parser: typescript.parser } },
    rules: {
      // Screens are named as people name them: Queue, Home.
      'vue/multi-word-component-names': 'off',
      // Whatever the server sends is text. This is what keeps a script in a name from running.
      'vue/no-v-html': 'error',
      'vue/no-template-target-blank': 'error',
      'vue/block-lang': ['error', { script: { lang: 'ts' } }],
      'vue/component-api-style': ['error', ['script-setup']],
    },
  },
  {
    rules: {
      '@typescript-eslint/no-explicit-any': 'error',
      'no-restricted-properties': [
        'error',
        { property: 'innerHTML', message: 'Text from the server is never HTML: use interpolation.' },
        { property: 'outerHTML', message: 'Text from the server is never HTML: use interpolation.' },
      ],
      'no-console': 'error',
      eqeqeq: 'error',
    },
  },
  { files: ['e2e/**', '*.config.*'], rules: { 'no-console': 'off' } },
  prettier,
)
