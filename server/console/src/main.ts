// Where the console begins.
import 'element-plus/theme-chalk/base.css'
import 'element-plus/theme-chalk/dark/css-vars.css'
import './theme/tokens.css'
import './theme/base.css'
import { createPinia } from 'pinia'
import { createApp } from 'vue'
import App from './App.vue'
import { startShortcuts } from './keys/shortcuts'
import { router } from './router'
import { startTheme } from './theme/theme'

startTheme()
startShortcuts()
createApp(App).use(createPinia()).use(router).mount('#app')
