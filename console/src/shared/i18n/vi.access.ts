import type { access as en } from "./en.access";

export const access: typeof en = {
  signIn: "Đăng nhập",
  signOut: "Đăng xuất",
  signOutEverywhere: "Đăng xuất mọi nơi",
  account: "Tài khoản của {name}",
  name: "Tên",
  password: "Mật khẩu",
  wrong: "Tên hoặc mật khẩu không đúng.",
  ended: "Bạn đã bị đăng xuất. Hãy đăng nhập lại để tiếp tục.",
  noAccounts:
    "Máy chủ này có khóa cho chương trình nhưng chưa có tài khoản cho người dùng. Hãy tạo một tài khoản ngay trên máy chủ:",
  changePassword: "Đổi mật khẩu",
  oldPassword: "Mật khẩu cũ",
  newPassword: "Mật khẩu mới, ít nhất {n} ký tự",
  oldWrong: "Mật khẩu cũ không đúng.",
  othersEnd: "Bạn vẫn đăng nhập ở đây và bị đăng xuất ở mọi nơi khác.",
  passwordChanged: "Đã đổi mật khẩu.",
  notAllowed: "Vai trò của bạn không được xem trang này",
  notAllowedText: "Trang cần quyền {grant}. Hãy xin người quản lý máy chủ một vai trò có quyền này, chẳng hạn admin.",
  asAnother: "Đăng nhập bằng tài khoản khác",
};
